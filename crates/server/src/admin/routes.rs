//! Every route of the administration listener, in one table that can be read
//! aloud. The OpenAPI document is made from it.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use crate::cx::Cx;

use super::call::Call;
use super::failed::Outcome;
use super::{
    api_keys, audit, clients, explanations, grants, health, keys, metrics, openapi, organizations,
    outbox, resources, revocations, sessions, status, tokens, trusted_issuers, users,
};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anyone who reaches the listener.
    Anyone,
    /// Whoever shows the administration token.
    Token,
}

type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it is called in the OpenAPI document.
    pub operation: &'static str,
    /// What it does.
    pub says: &'static str,
    /// The names that its query may hold.
    pub queries: &'static [&'static str],
    /// The schema of its body.
    pub takes: &'static str,
    /// The status of its answer.
    pub status: u16,
    /// The schema of its answer.
    pub answers: &'static str,
    pub(super) handler: fn(Cx, Call) -> Answer,
}

macro_rules! table {
    ($($method:ident $path:literal $access:ident [$($query:ident)*] $takes:ident => $status:literal $answers:ident $module:ident::$endpoint:ident $says:literal;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            operation: concat!(stringify!($module), ".", stringify!($endpoint)),
            says: $says,
            queries: &[$(stringify!($query)),*],
            takes: stringify!($takes),
            status: $status,
            answers: stringify!($answers),
            handler: |cx, call| Box::pin($module::$endpoint(cx, call)),
        },)*]
    };
}

/// The table.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table: one line for each route")]
pub fn table() -> Vec<Route> {
    // method path                                          who may call  query                     takes => answers               operation               what it does
    table! {
        GET    "/metrics"                                    Anyone [] Nothing                       => 200 Text                   metrics::get            "What is counted, as Prometheus reads it.";
        GET    "/healthz"                                    Anyone [] Nothing                       => 200 Object                 health::live            "Whether the process lives.";
        GET    "/readyz"                                     Anyone [] Nothing                       => 200 Object                 health::ready           "Whether the process can answer.";
        GET    "/openapi.json"                               Anyone [] Nothing                       => 200 Object                 openapi::get            "This document.";
        GET    "/status"                                     Anyone [link] Nothing                   => 200 Text                   status::page            "The read-only status page, for whoever opens a one-time link.";
        GET    "/assets/{name}"                              Anyone [] Nothing                       => 200 Text                   status::asset           "What the status page is made of.";
        GET    "/admin/v1/status"                            Token  [] Nothing                       => 200 Status                 status::get             "The state of this process.";
        POST   "/admin/v1/status-links"                      Token  [] Nothing                       => 201 StatusLink             status::create_link     "Makes a link that opens the status page once.";

        GET    "/admin/v1/clients"                           Token  [after limit] Nothing            => 200 ClientList             clients::list           "Lists clients.";
        POST   "/admin/v1/clients"                           Token  [] NewClient                     => 201 Client                 clients::create         "Creates a client; the answer shows its secret, once.";
        GET    "/admin/v1/clients/{id}"                      Token  [] Nothing                       => 200 Client                 clients::get            "Shows a client.";
        PATCH  "/admin/v1/clients/{id}"                      Token  [] ClientPatch                   => 200 Client                 clients::update         "Changes a client.";
        DELETE "/admin/v1/clients/{id}"                      Token  [] Nothing                       => 204 Nothing                clients::delete         "Deletes a client and takes back all it was given.";
        POST   "/admin/v1/clients/{id}/secret"               Token  [] Rotation                      => 201 Client                 clients::rotate_secret  "Gives a client another secret; the old one holds for the overlap.";
        POST   "/admin/v1/clients/{id}/enable"               Token  [] Nothing                       => 200 Client                 clients::enable         "Lets a client work again.";
        POST   "/admin/v1/clients/{id}/disable"              Token  [] Nothing                       => 200 Client                 clients::disable        "Stops a client and takes back all it was given.";

        GET    "/admin/v1/resources"                         Token  [after limit] Nothing            => 200 ResourceList           resources::list         "Lists resources.";
        POST   "/admin/v1/resources"                         Token  [] NewResource                   => 201 Resource               resources::create       "Creates a resource.";
        POST   "/admin/v1/resources:advise"                  Token  [] Questions                     => 200 Advice                 resources::advise       "Says which token format fits, and why.";
        GET    "/admin/v1/resources/{identifier}"            Token  [] Nothing                       => 200 Resource               resources::get          "Shows a resource.";
        PATCH  "/admin/v1/resources/{identifier}"            Token  [] ResourcePatch                 => 200 Resource               resources::update       "Changes a resource.";
        DELETE "/admin/v1/resources/{identifier}"            Token  [] Nothing                       => 204 Nothing                resources::delete       "Deletes a resource.";

        GET    "/admin/v1/users"                             Token  [after limit] Nothing            => 200 UserList               users::list             "Lists people.";
        POST   "/admin/v1/users"                             Token  [] NewUser                       => 201 User                   users::create           "Creates a person.";
        GET    "/admin/v1/users/{user}"                      Token  [] Nothing                       => 200 User                   users::get              "Shows a person, by id or user name.";
        PATCH  "/admin/v1/users/{user}"                      Token  [] UserPatch                     => 200 User                   users::update           "Changes a person's user name or claims.";
        DELETE "/admin/v1/users/{user}"                      Token  [] Nothing                       => 204 Nothing                users::delete           "Deletes a person and takes back all they granted.";
        POST   "/admin/v1/users/{user}/password"             Token  [] NewPassword                   => 200 User                   users::set_password     "Sets a password and signs the person out everywhere.";
        POST   "/admin/v1/users/{user}/enable"               Token  [] Nothing                       => 200 User                   users::enable           "Lets a person sign in again.";
        POST   "/admin/v1/users/{user}/disable"              Token  [] Nothing                       => 200 User                   users::disable          "Keeps a person out and signs them out everywhere.";

        GET    "/admin/v1/organizations"                     Token  [after limit] Nothing            => 200 OrganizationList       organizations::list     "Lists organizations.";
        POST   "/admin/v1/organizations"                     Token  [] NewOrganization               => 201 Organization           organizations::create   "Creates an organization.";
        GET    "/admin/v1/organizations/{id}"                Token  [] Nothing                       => 200 Organization           organizations::get      "Shows an organization.";
        PATCH  "/admin/v1/organizations/{id}"                Token  [] OrganizationPatch             => 200 Organization           organizations::update   "Renames an organization.";
        DELETE "/admin/v1/organizations/{id}"                Token  [] Nothing                       => 204 Nothing                organizations::delete   "Deletes an organization and takes back all that was done for it.";
        POST   "/admin/v1/organizations/{id}/enable"         Token  [] Nothing                       => 200 Organization           organizations::enable   "Lets people act for an organization again.";
        POST   "/admin/v1/organizations/{id}/disable"        Token  [] Nothing                       => 200 Organization           organizations::disable  "Stops all that is done for an organization.";
        GET    "/admin/v1/organizations/{id}/members"        Token  [after limit] Nothing            => 200 MemberList             organizations::members  "Lists the members of an organization.";
        PUT    "/admin/v1/organizations/{id}/members/{user}" Token  [] Roles                         => 200 Member                 organizations::put_member    "Makes a person a member, or gives a member other roles.";
        DELETE "/admin/v1/organizations/{id}/members/{user}" Token  [] Nothing                       => 204 Nothing                organizations::remove_member "Ends a membership.";

        GET    "/admin/v1/trusted-issuers"                   Token  [after limit] Nothing            => 200 TrustedIssuerList      trusted_issuers::list   "Lists trusted issuers.";
        POST   "/admin/v1/trusted-issuers"                   Token  [] NewTrustedIssuer              => 201 TrustedIssuer          trusted_issuers::create "Trusts an issuer: its JWTs open one resource.";
        GET    "/admin/v1/trusted-issuers/{issuer}"          Token  [] Nothing                       => 200 TrustedIssuer          trusted_issuers::get    "Shows a trusted issuer.";
        PATCH  "/admin/v1/trusted-issuers/{issuer}"          Token  [] TrustedIssuerPatch            => 200 TrustedIssuer          trusted_issuers::update "Changes a trusted issuer.";
        DELETE "/admin/v1/trusted-issuers/{issuer}"          Token  [] Nothing                       => 204 Nothing                trusted_issuers::delete "Deletes a trusted issuer and takes back all that came of its JWTs.";
        POST   "/admin/v1/trusted-issuers/{issuer}/trust"    Token  [] Nothing                       => 200 TrustedIssuer          trusted_issuers::trust  "Trusts an issuer again.";
        POST   "/admin/v1/trusted-issuers/{issuer}/distrust" Token  [] Nothing                       => 200 TrustedIssuer          trusted_issuers::distrust "Trusts an issuer no more and takes back all that came of its JWTs.";

        GET    "/admin/v1/grants"                            Token  [user client after limit] Nothing => 200 GrantList             grants::list            "Lists the live grants of a person or to a client.";
        GET    "/admin/v1/grants/{id}"                       Token  [] Nothing                       => 200 Grant                  grants::get             "Shows a grant.";
        DELETE "/admin/v1/grants/{id}"                       Token  [] Nothing                       => 204 Nothing                grants::withdraw        "Withdraws a grant.";
        GET    "/admin/v1/sessions"                          Token  [user after limit] Nothing       => 200 SessionList            sessions::list          "Lists the sessions of a person.";
        GET    "/admin/v1/sessions/{id}"                     Token  [] Nothing                       => 200 Session                sessions::get           "Shows a session.";
        DELETE "/admin/v1/sessions/{id}"                     Token  [] Nothing                       => 204 Nothing                sessions::end           "Ends a session.";
        GET    "/admin/v1/keys"                              Token  [] Nothing                       => 200 KeyList                keys::list              "Lists the keys.";
        POST   "/admin/v1/keys:rotate"                       Token  [] KeyRotation                   => 200 KeyChanges             keys::rotate            "Uses the next keys as soon as they may be, or says what would happen when.";
        POST   "/admin/v1/keys/{kid}/retire"                 Token  [] Nothing                       => 200 KeyChanges             keys::retire            "Has an active key make nothing more, as soon as the next one may take over.";
        POST   "/admin/v1/keys/{kid}/distrust"               Token  [] Nothing                       => 200 DistrustedKeys         keys::distrust          "Takes a key back, with all that it made, and uses another at once.";
        GET    "/admin/v1/api-keys"                          Token  [after limit client user organization] Nothing => 200 ApiKeyList    api_keys::list          "Lists API keys.";
        POST   "/admin/v1/api-keys"                          Token  [] NewApiKey                     => 201 ApiKey                 api_keys::create        "Makes an API key; the answer shows it, once.";
        POST   "/admin/v1/api-keys:import"                   Token  [] ApiKeyImport                  => 200 ApiKeysImported        api_keys::import        "Brings keys along from elsewhere, by the SHA-256 digests of their texts.";
        GET    "/admin/v1/api-keys/{id}"                     Token  [] Nothing                       => 200 ApiKey                 api_keys::get           "Shows an API key, without its text.";
        PATCH  "/admin/v1/api-keys/{id}"                     Token  [] ApiKeyPatch                   => 200 ApiKey                 api_keys::update        "Changes an API key.";
        DELETE "/admin/v1/api-keys/{id}"                     Token  [] Nothing                       => 204 Nothing                api_keys::revoke        "Takes an API key back, and all that was made of it.";
        POST   "/admin/v1/api-keys/{id}/rotate"              Token  [] ApiKeyRotation                => 201 ApiKey                 api_keys::rotate        "Puts another key in the place of one, which holds for the overlap.";
        POST   "/admin/v1/api-keys/{id}/enable"              Token  [] Nothing                       => 200 ApiKey                 api_keys::enable        "Lets an API key work again.";
        POST   "/admin/v1/api-keys/{id}/disable"             Token  [] Nothing                       => 200 ApiKey                 api_keys::disable       "Stops an API key and takes back what was made of it.";
        POST   "/admin/v1/revoke"                            Token  [] Revocation                    => 204 Nothing                revocations::create     "Takes back one thing: what hangs on it dies.";
        GET    "/admin/v1/explanations/{id}"                 Token  [] Nothing                       => 200 Explanation            explanations::get       "Says why a request was refused, or what became of a token, by its id.";
        POST   "/admin/v1/tokens:explain"                    Token  [] TokenQuestion                 => 200 Explanation            tokens::explain         "Says what a token is, which check it fails, and what took it back; it is read and forgotten.";
        GET    "/admin/v1/outbox"                            Token  [after limit] Nothing            => 200 Outbox                 outbox::get             "Shows what waits to be told to others, receiver by receiver.";
        GET    "/admin/v1/dead-letters"                      Token  [after limit receiver] Nothing   => 200 DeadLetterList         outbox::dead_letters    "Lists what nobody took, oldest first.";
        POST   "/admin/v1/dead-letters:retry"                Token  [] DeadLetters                   => 200 DeadLettersDone        outbox::retry           "Offers dead letters again.";
        POST   "/admin/v1/dead-letters:drop"                 Token  [] DeadLetters                   => 200 DeadLettersDone        outbox::drop            "Forgets dead letters.";
        GET    "/admin/v1/audit"                             Token  [after limit action actor subject client request since until] Nothing => 200 AuditList audit::list           "Lists what was done, oldest first.";
        GET    "/admin/v1/audit/chain"                       Token  [after limit] Nothing            => 200 AuditChain             audit::chain            "Shows the audit chain in its order, with what proves it.";
    }
}
