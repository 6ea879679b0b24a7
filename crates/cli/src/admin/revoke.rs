//! `symbolon revoke`: takes one thing back, and all that hangs on it.

use std::io::Read as _;

use serde_json::{Value, json};

use super::print;
use super::{Connection, Failed, Target};

/// How long a token may be, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon revoke --subject alice\n  symbolon revoke --token - < token.txt"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    what: What,
    /// With --membership: the person whose membership ends
    #[arg(long, value_name = "USER", requires = "membership")]
    user: Option<String>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// An access or refresh token, or an API key; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A refresh family
    #[arg(long, value_name = "ID")]
    family: Option<String>,
    /// A grant
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    /// A session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// A person, by user name or id: signs them out everywhere
    #[arg(long, value_name = "USER")]
    subject: Option<String>,
    /// The same, by a subject identifier as others name people (RFC 9493), in JSON
    #[arg(long, value_name = "JSON")]
    subject_identifier: Option<String>,
    /// A client: all it was given so far
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// An organization: all that was done for it so far
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// A trusted issuer: all that came of its JWTs so far
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A membership of this organization, with --user
    #[arg(long, value_name = "ORGANIZATION", requires = "user")]
    membership: Option<String>,
}

impl What {
    /// The document to send; exactly one was given.
    fn document(self, user: Option<String>) -> Result<Value, Failed> {
        let given = [
            ("family", self.family),
            ("grant", self.grant),
            ("session", self.session),
            ("subject", self.subject),
            ("client", self.client),
            ("organization", self.organization),
            ("issuer", self.issuer),
        ];
        if let Some(token) = self.token {
            return Ok(json!({ "token": token_of(token)? }));
        }
        if let (Some(organization), Some(user)) = (self.membership, user) {
            return Ok(json!({ "membership": { "organization": organization, "user": user } }));
        }
        if let Some(text) = self.subject_identifier {
            let named: Value = serde_json::from_str(&text).map_err(|_| {
                let why = "--subject-identifier takes JSON, as in '{\"format\":\"email\",\"email\":\"alice@example.com\"}'";
                Failed::usage("revoke.subject_identifier", why)
            })?;
            return Ok(json!({ "sub_id": named }));
        }
        let found = given
            .into_iter()
            .find_map(|(name, value)| Some(json!({ name: value? })));
        found.ok_or_else(|| Failed::usage("revoke.nothing", "say what to take back; see --help"))
    }
}

fn token_of(given: String) -> Result<String, Failed> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    let read = std::io::stdin()
        .take(MAX_TOKEN_BYTES)
        .read_to_string(&mut text);
    read.map_err(|error| {
        Failed::new("revoke.token", format!("could not read the token: {error}"))
    })?;
    Ok(text.trim().to_owned())
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    connection
        .create(&["revoke"], &arguments.what.document(arguments.user)?)
        .await?;
    print::done(&connection, "taken back: it is refused from now on")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        own: Arguments,
    }

    fn document(line: &[&str]) -> Option<Value> {
        let whole = Whole::try_parse_from([&["revoke"], line].concat()).ok()?;
        whole.own.what.document(whole.own.user).ok()
    }

    #[test]
    fn exactly_one_thing_is_taken_back() {
        assert_eq!(
            document(&["--subject", "alice"]),
            Some(json!({"subject": "alice"}))
        );
        let named = r#"{"format":"email","email":"alice@example.com"}"#;
        let sub_id = json!({"sub_id": {"format": "email", "email": "alice@example.com"}});
        assert_eq!(document(&["--subject-identifier", named]), Some(sub_id));
        assert_eq!(document(&["--subject-identifier", "alice"]), None);
        assert_eq!(document(&["--token", "abc"]), Some(json!({"token": "abc"})));
        let membership = json!({"membership": {"organization": "acme", "user": "alice"}});
        assert_eq!(
            document(&["--membership", "acme", "--user", "alice"]),
            Some(membership)
        );
        assert_eq!(document(&[]), None);
        assert_eq!(document(&["--membership", "acme"]), None);
        assert_eq!(document(&["--subject", "alice", "--client", "web"]), None);
    }
}
