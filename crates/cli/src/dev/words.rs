//! What `dev` says on a terminal. Every line that is meant to be copied works
//! as it stands: the program is named by its own path, files by theirs.

use std::path::Path;

use super::Ready;
use super::home::{self, Home};

/// The program that protects an API of one's own, as it is compiled by the tests.
const PROGRAM: &str = include_str!("../../../verify/examples/orders.rs");

/// Where the binary and the library are.
pub(super) struct Places {
    /// The running program, fit for a shell.
    program: String,
    /// What stands below `[dependencies]`.
    library: String,
}

impl Places {
    /// Looks for the running program, and for the sources that it was built
    /// from; where they are elsewhere, a clone beside the new crate is assumed.
    pub(super) fn find() -> Self {
        let program = std::env::current_exe().ok();
        let sources = program.as_deref().and_then(|program| {
            let folders = program.ancestors().skip(1);
            let mut found = folders.map(|folder| folder.join("crates/verify"));
            found.find(|folder| folder.join("Cargo.toml").is_file())
        });
        let library = match sources {
            Some(folder) => format!("path = {:?}", folder.display().to_string()),
            None => "path = \"symbolon/crates/verify\"".to_owned(),
        };
        Self {
            program: quoted(program.as_deref().unwrap_or(Path::new("symbolon"))),
            library,
        }
    }
}

/// A path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The whole greeting.
pub(super) fn greeting(ready: &Ready, home: &Home, places: &Places) -> String {
    [
        facts(ready),
        attempts(ready, home, places),
        own_api(ready, home, places),
        format!(
            "  A service that is not in Rust: the gateway stands in front of it (docs/gateway.md). Its routes, and\n  all of the configuration behind this, to copy from: {}\n\n  Ctrl-C ends it.\n\n",
            home.config.display()
        ),
    ]
    .concat()
}

fn facts(ready: &Ready) -> String {
    let Ready {
        issuer,
        gateway,
        client_id,
        client_secret,
        username,
        password,
        admin_url,
        access_token,
        ..
    } = ready;
    format!(
        r#"
  Symbolon is running. Everything below is the real code, on this machine only.

  issuer          {issuer}
  demo API        {gateway}
  administration  {admin_url}
  client          {client_id}  {client_secret}
  person          {username}  {password}
  access token    {access_token}

"#
    )
}

/// What to try with the token, and how to get another.
fn attempts(ready: &Ready, home: &Home, places: &Places) -> String {
    let Ready {
        issuer,
        gateway,
        client_id,
        client_secret,
        access_token,
        good,
        bad,
        ..
    } = ready;
    let program = &places.program;
    let secret_file = quoted(&home.api_secret);
    format!(
        r#"  Read an invoice ({}):

    {}

  Try to delete it ({}: the token may not):

    {}

  Have the refusal explained, check by check:

    {program} token explain --issuer {issuer} --audience {gateway} --scope delete:invoices \
      --client-id {} --client-secret-file {secret_file} '{access_token}'

  The token lives ten minutes. Get another:

    curl -s -u '{client_id}:{client_secret}' -d grant_type=client_credentials -d scope=read:invoices {issuer}/token

"#,
        good.expect,
        good.command,
        bad.expect,
        bad.command,
        home::API,
    )
}

/// From an API that the server does not know to a token that it takes.
fn own_api(ready: &Ready, home: &Home, places: &Places) -> String {
    let Places { program, library } = places;
    let (issuer, admin) = (&ready.issuer, &home.admin);
    let token_file = quoted(&home.admin_token);
    let body = PROGRAM.lines().skip_while(|line| !line.starts_with("use "));
    let code: String = body
        .map(|line| line.replace("http://127.0.0.1:8080", issuer))
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect();
    format!(
        r#"  Protect an API of your own. Register it, and who asks about its tokens, and who gets some:

    export SYMBOLON_ADMIN_URL={admin} SYMBOLON_ADMIN_TOKEN_FILE={token_file}
    {program} client create orders-api --kind service --grant client_credentials --secret-to orders-api.secret
    {program} resource create http://127.0.0.1:8099 --token-format jwt --scope read:orders --introspection-client orders-api
    {program} client create shop --kind service --grant client_credentials \
      --scope read:orders --resource http://127.0.0.1:8099 --secret-to shop.secret

  Cargo.toml:

    [dependencies]
    axum = "0.8"
    symbolon-verify = {{ {library}, features = ["axum"] }}
    tokio = {{ version = "1", features = ["macros", "net", "rt-multi-thread"] }}

  src/main.rs:

{code}
  Get a token for it (then: curl -H 'Authorization: Bearer …' http://127.0.0.1:8099/orders):

    curl -s -u "shop:$(cat shop.secret)" -d grant_type=client_credentials {issuer}/token

"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/$c")), "'/a b/$c'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }
}
