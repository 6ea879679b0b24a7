//! The four ways to give a secret: inline, in a file, in a variable, by a program.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use symbolon_token::Secret;
use zeroize::Zeroize as _;

use super::document::{Node, Table, Value};
use super::finding::{Finding, Location};
use super::read::Loading;
use super::schema::FORMS;

/// How large a secret may be, in bytes.
pub(super) const MAX_SECRET_BYTES: usize = 64 * 1024;
/// How long a program may take to say it.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// A secret that the server makes at first start unless it is given.
#[derive(Debug)]
pub enum SecretSource {
    /// A file, made at first start where it is missing.
    File(PathBuf),
    /// The secret itself, from a variable, a program, or inline.
    Given(Secret),
}

/// How a secret was given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Inline,
    Elsewhere,
}

/// A secret, and how it was given.
pub(super) struct Given {
    pub(super) secret: Secret,
    pub(super) form: Form,
    pub(super) at: Location,
}

/// What is told of a file with a secret that cannot be read.
const UNREADABLE: &str = "secret.file.unreadable";

impl Loading<'_> {
    /// The secret of a name, in whichever form it stands.
    pub(super) fn secret(&mut self, table: &Table, name: &str) -> Option<Given> {
        let (stands_as, node) = self.one_form(table, name)?;
        let form = stands_as.strip_prefix(name).unwrap_or_default();
        let resolved = match (form, &node.value) {
            ("_command", value) => self.command_secret(value),
            (_, Value::Text(text)) if form.is_empty() => Ok(Secret::from(text.as_str())),
            ("_file", Value::Text(path)) => self.file_secret(path, &node.at),
            ("_env", Value::Text(variable)) => self.variable_secret(variable),
            _ => Err(Refused("secret.invalid", "the value is not a text".into())),
        };
        let resolved = resolved.and_then(|secret| match secret.is_empty() {
            true => Err(Refused("secret.empty", "the secret is empty".into())),
            false => Ok(secret),
        });
        match resolved {
            Ok(secret) => {
                let inline = form.is_empty() && !node.at.is_variable();
                self.has_inline_secret |= inline;
                Some(Given {
                    secret,
                    form: if inline {
                        Form::Inline
                    } else {
                        Form::Elsewhere
                    },
                    at: node.at.clone(),
                })
            }
            Err(Refused(code, message)) => {
                let mut repair = format!(
                    "give `{name}_file`, `{name}_env` or `{name}_command` something that holds the secret"
                );
                if code == UNREADABLE {
                    repair.push_str(", or make one: `(umask 077; openssl rand -hex 32 > FILE)`");
                }
                self.add(
                    Finding::error(code, &node.at, format!("`{stands_as}`: {message}"))
                        .because("a secret that cannot be had opens nothing")
                        .repair(repair),
                );
                None
            }
        }
    }

    /// A secret that is made at first start, or given in another form.
    pub(super) fn kept_secret(
        &mut self,
        table: &Table,
        name: &str,
        default: &str,
    ) -> (SecretSource, Option<Form>) {
        let standing = self.one_form(table, name);
        let path = match &standing {
            None => Some(default),
            Some((form, node)) if form.ends_with("_file") => node.text(),
            Some(_) => None,
        };
        if let Some(path) = path {
            let path = self.folder.join(path);
            self.check_readers(&path, table.place(&format!("{name}_file")));
            return (SecretSource::File(path), None);
        }
        match self.secret(table, name) {
            Some(given) => (SecretSource::Given(given.secret), Some(given.form)),
            None => (SecretSource::File(self.folder.join(default)), None),
        }
    }

    fn one_form<'t>(&mut self, table: &'t Table, name: &str) -> Option<(String, &'t Node)> {
        let names = std::iter::once(name.to_owned())
            .chain(FORMS.iter().map(|form| format!("{name}{form}")));
        let mut found = names.filter_map(|name| Some((table.find(&name)?, name)));
        let (node, first) = found.next()?;
        if let Some((second, other)) = found.next() {
            self.add(
                Finding::error(
                    "secret.several",
                    &second.at,
                    format!("both `{first}` and `{other}` give one secret"),
                )
                .because("nobody can tell which of them holds")
                .repair("keep one of them"),
            );
            return None;
        }
        Some((first, node))
    }

    fn file_secret(&mut self, path: &str, at: &Location) -> Result<Secret, Refused> {
        let path = self.folder.join(path);
        let unreadable = |error: std::io::Error| {
            Refused(
                UNREADABLE,
                format!("could not read `{}`: {error}", path.display()),
            )
        };
        let mut bytes = Vec::new();
        let mut file = File::open(&path).map_err(unreadable)?;
        file.by_ref()
            .take(MAX_SECRET_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        self.check_readers(&path, at);
        trimmed(bytes)
    }

    fn variable_secret(&self, variable: &str) -> Result<Secret, Refused> {
        match self.variables.get(variable) {
            Some(value) => trimmed(value.clone().into_bytes()),
            None => Err(Refused(
                "secret.env.missing",
                format!("the variable `{variable}` is not set"),
            )),
        }
    }

    fn command_secret(&self, value: &Value) -> Result<Secret, Refused> {
        let words = words(value)?;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| Refused("secret.command.invalid", "names no program".into()))?;
        // Only what is a path is looked for beside the file.
        let path = match program.contains('/') {
            true => self.folder.join(program),
            false => PathBuf::from(program),
        };
        let failed = |what: String| {
            Refused(
                "secret.command.failed",
                format!("the program `{program}` {what}"),
            )
        };
        let mut child = Command::new(path)
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(format!("could not be started: {error}")))?;
        let output = drain(&mut child);
        let mut waited = Duration::ZERO;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if waited < self.command_timeout => {
                    thread::sleep(POLL);
                    waited += POLL;
                }
                Ok(None) | Err(_) => {
                    // Already gone is as good as killed.
                    drop(child.kill());
                    drop(child.wait());
                    return Err(Refused(
                        "secret.command.timeout",
                        format!("the program `{program}` took too long"),
                    ));
                }
            }
        };
        if !status.success() {
            return Err(failed(format!("ended with {status}")));
        }
        match output.recv_timeout(Duration::from_secs(1)) {
            Ok(bytes) => trimmed(bytes),
            Err(_) => Err(failed("left its output open".into())),
        }
    }

    /// Warns where others on the machine can read a file.
    pub(super) fn check_readers(&mut self, path: &Path, at: &Location) {
        if is_readable_by_others(path) {
            self.add(
                Finding::warning(
                    "secret.file.readable",
                    at,
                    format!(
                        "`{}` can be read by everybody on this machine",
                        path.display()
                    ),
                )
                .because("whoever reads the file has the secret")
                .repair(format!("chmod o-rwx {}", path.display())),
            );
        }
    }
}

/// Whether the last three bits of the mode let others in.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

struct Refused(&'static str, String);

/// The program and its arguments: a list, or a line cut at its blanks.
fn words(value: &Value) -> Result<Vec<String>, Refused> {
    let invalid = |message: &str| Refused("secret.command.invalid", message.to_owned());
    match value {
        Value::Text(line) if line.contains(['"', '\'', '\\', '$', '`', '|', ';', '&']) => Err(
            invalid("no shell reads the line; write a list, as in `[\"sh\", \"-c\", \"…\"]`"),
        ),
        Value::Text(line) => Ok(line.split_whitespace().map(str::to_owned).collect()),
        Value::Array(nodes) => nodes
            .iter()
            .map(|node| node.text().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("is a list of texts")),
        _ => Err(invalid("is a text or a list of texts")),
    }
}

/// Reads what the program says on a thread of its own, so that a full pipe
/// never blocks it.
fn drain(child: &mut Child) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let limit = MAX_SECRET_BYTES as u64 + 1;
            if stdout.take(limit).read_to_end(&mut bytes).is_ok() {
                // The receiver is gone only after a timeout was reported.
                drop(sender.send(bytes));
            }
        });
    }
    receiver
}

/// Cuts the line breaks at the end.
fn trimmed(mut bytes: Vec<u8>) -> Result<Secret, Refused> {
    if bytes.len() > MAX_SECRET_BYTES {
        bytes.zeroize();
        return Err(Refused(
            "secret.long",
            format!("has more than {MAX_SECRET_BYTES} bytes"),
        ));
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Secret::new(bytes))
}
