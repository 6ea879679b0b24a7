//! What `dev` says on a terminal.

use super::Ready;
use super::home::{self, Home};

/// The whole greeting.
pub(super) fn greeting(ready: &Ready, home: &Home) -> String {
    let Ready {
        issuer,
        gateway,
        client_id,
        client_secret,
        username,
        password,
        admin_url,
        access_token,
        good,
        bad,
    } = ready;
    let renew = format!(
        "curl -s -u '{client_id}:{client_secret}' -d grant_type=client_credentials -d scope=read:invoices {issuer}/token"
    );
    let explain = format!(
        "symbolon token explain --issuer {issuer} --audience {gateway} --scope delete:invoices \\\n      --client-id {} --client-secret-file {} '{access_token}'",
        home::API,
        home.api_secret.display(),
    );
    format!(
        r#"
  Symbolon is running. Everything below is the real code, on this machine only.

  issuer          {issuer}
  demo API        {gateway}
  administration  {admin_url}
  client          {client_id}  {client_secret}
  person          {username}  {password}
  access token    {access_token}

  Read an invoice ({}):

    {}

  Try to delete it ({}: the token may not):

    {}

  Have the refusal explained, check by check:

    {explain}

  The token lives ten minutes. Get another:

    {renew}

  Protect an API of your own (Rust, crate `symbolon-verify`):

    let verifier = Verifier::new("{issuer}", "{gateway}", [Algorithm::Es256])?
        .introspect_as("{}", secret)?;
    let app = Router::new()
        .route("/invoices/{{id}}", get(read).layer(verifier.require(["read:invoices"])));

  The configuration behind all this, to copy from: {}

  Ctrl-C ends it.

"#,
        good.expect,
        good.command,
        bad.expect,
        bad.command,
        home::API,
        home.config.display(),
    )
}
