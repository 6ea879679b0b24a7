//! What the server reads at start or makes itself: the master key and the
//! administrator's token. Where they are there already, they are looked at
//! now, so that nothing is called right with which nothing starts.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use symbolon_token::{MasterKey, Secret};
use zeroize::Zeroizing;

use super::super::document::Table;
use super::super::finding::{Finding, Location};
use super::super::schema::FORMS;
use super::super::secret::{MAX_SECRET_BYTES, SecretSource};
use super::Loading;
use crate::launch::MIN_TOKEN_BYTES;

/// What a start would do with what is there.
type Judge = fn(&str) -> Option<&'static str>;

impl Loading<'_> {
    /// Refuses a master key with which nothing could be opened.
    pub(super) fn check_master_key(&mut self, source: &SecretSource, table: &Table, name: &str) {
        let malformed: Judge = |text| {
            let is_key = MasterKey::parse(text).is_some();
            (!is_key).then_some("it is not 64 random hexadecimal digits")
        };
        let at = place(table, name);
        let wrong = match source {
            SecretSource::File(path) => self.look_into(path, at, malformed),
            SecretSource::Given(secret) => malformed(secret.expose_str()).map(str::to_owned),
        };
        if let Some(wrong) = wrong {
            self.add(
                Finding::error(
                    "store.master_key.invalid",
                    at,
                    format!("the master key cannot be used: {wrong}"),
                )
                .because("it wraps every other key, so nothing starts without it")
                .repair("put the right key back; a new installation makes one where there is no file, or use `openssl rand -hex 32`"),
            );
        }
    }

    /// Refuses a token file that lets nobody in, or anybody.
    pub(super) fn check_token_file(&mut self, path: &Path, table: &Table) {
        let short: Judge = |text| {
            let is_short = text.trim().len() < MIN_TOKEN_BYTES;
            is_short.then_some("it holds fewer than 32 characters")
        };
        let at = place(table, "token");
        if let Some(wrong) = self.look_into(path, at, short) {
            self.add(
                Finding::error(
                    "admin.token.short",
                    at,
                    format!("the administrator's token cannot be used: {wrong}"),
                )
                .because("whoever guesses the token can change everything")
                .repair("delete the file and start again: a token is made"),
            );
        }
    }

    /// What is wrong with a file, with its path; nothing where there is none.
    fn look_into(&mut self, path: &Path, at: &Location, judge: Judge) -> Option<String> {
        let shown = path.display();
        match read(path) {
            Ok(None) => None,
            Ok(Some(text)) => judge(text.expose_str()).map(|wrong| format!("`{shown}`: {wrong}")),
            Err(error) => {
                self.add(
                    Finding::error(
                        "secret.file.unreadable",
                        at,
                        format!("could not read `{shown}`: {error}"),
                    )
                    .because("it is read at start")
                    .repair("let the user that the server runs as read it"),
                );
                None
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<Option<Secret>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_SECRET_BYTES as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(Some(Secret::from(text.as_str())))
}

/// Where a secret is given, in whichever form.
fn place<'t>(table: &'t Table, name: &str) -> &'t Location {
    let mut names = FORMS.iter().map(|form| format!("{name}{form}"));
    let given = names.find(|name| table.has(name));
    table.place(given.as_deref().unwrap_or(name))
}
