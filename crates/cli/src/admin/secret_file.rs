//! A secret that goes into a file instead of onto the screen.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use super::Failed;

/// Where the secret goes that the server makes.
#[derive(clap::Args)]
pub(super) struct SecretTo {
    /// Write the secret to a new file, which only its owner may read, and do
    /// not print it
    #[arg(long, value_name = "FILE")]
    secret_to: Option<PathBuf>,
}

/// A file that was made before the secret, so that none is lost for want of one.
pub(super) struct SecretFile(Option<(PathBuf, File)>);

impl SecretTo {
    /// Makes the file. One that exists is never written over.
    pub(super) fn prepare(self) -> Result<SecretFile, Failed> {
        let Some(path) = self.secret_to else {
            return Ok(SecretFile(None));
        };
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = made.map_err(|error| failed(&path, &error))?;
        Ok(SecretFile(Some((path, file))))
    }
}

impl SecretFile {
    /// Moves the secret of an answer into the file. Where the server refused,
    /// or had none to give, the file goes again.
    pub(super) fn keep(self, answer: Result<Value, Failed>) -> Result<Value, Failed> {
        let Some((path, mut file)) = self.0 else {
            return answer;
        };
        let give_up = || {
            // An empty file that stays is told by the next run.
            let _ = std::fs::remove_file(&path);
        };
        let mut answer = answer.inspect_err(|_| give_up())?;
        let members = answer.as_object_mut();
        let secret = members.and_then(|own| own.remove("secret").or_else(|| own.remove("key")));
        match secret {
            Some(Value::String(secret)) => {
                let written = file
                    .write_all(secret.as_bytes())
                    .and_then(|()| file.sync_all());
                written.map_err(|error| failed(&path, &error))?;
                eprintln!("The secret is in {}", path.display());
            }
            _ => give_up(),
        }
        Ok(answer)
    }
}

fn failed(path: &std::path::Path, error: &std::io::Error) -> Failed {
    Failed::new(
        "client.secret_to",
        format!(
            "could not write the secret to `{}`: {error}",
            path.display()
        ),
    )
}
