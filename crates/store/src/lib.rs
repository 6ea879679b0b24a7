//! What the server remembers: acts on nouns, written once, on two engines.
//!
//! Each noun is a file with its type, its states, its SQL and its acts. An act
//! is a struct of its arguments; [`Store::act`] carries it out as one durable
//! transaction, [`Store::read`] beside the writer. A refusal is an outcome and
//! commits; a [`Fault`] rolls back.

mod act;
mod api_key;
mod attempt;
mod audit;
mod authorization_code;
pub mod backup;
mod bind;
mod browser_session;
mod client;
pub mod conformance;
mod count;
mod database_clock;
mod device_authorization;
mod dialect;
mod discharge;
mod ending;
mod examine;
mod fault;
mod faults;
mod feed;
mod grant;
mod idle;
mod job;
mod key;
mod meta;
mod migration;
mod naming;
mod organization;
mod outbox;
mod own_account;
mod person;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod refresh_family;
mod registered_client;
mod resource;
mod revocation;
mod row;
mod schema;
mod session;
mod session_client;
mod session_others;
mod sign_in;
mod signal;
mod signal_receipt;
mod signal_stream;
mod signal_subject;
mod spent;
mod sqlite;
mod statement;
mod status_list;
mod store;
mod together;
mod token_life;
mod trusted_issuer;
mod uses;

pub use act::{Act, Settled, Tx};
pub use api_key::change::{
    ApiKeyChange, ApiKeyChanged, ApiKeyMade, MakeApiKeys, NewApiKey, RevokeApiKey, RotateApiKey,
    UpdateApiKey,
};
pub use api_key::list::ListApiKeys;
pub use api_key::used::NoteApiKeyUses;
pub use api_key::{
    ApiKeyDocument, FindApiKey, FindImportedApiKey, HasImportedApiKeys, KeyOwner, StoredApiKey,
};
pub use attempt::{Attempt, CountAttempt, ForgiveAttempt};
pub use audit::{
    AuditChain, AuditEntry, AuditEvent, AuditFilter, AuditPage, AuditPlace, ChainHead, ForgetAudit,
    Head as AuditHead, Held, LinkAudit, Linked, LinkedRow, Linking, ListAudit, ListAuditChain,
    MoveAuditStart, SignsAnchors, UnlinkedAudit, VOID,
};
pub use authorization_code::{BurnCode, CodeKind, HangsOn, RedeemCode, Redeemed};
pub use browser_session::{
    BrowserSession, ClaimBrowserSessions, EndBrowserSession, EndBrowserSessionsOf,
    EndOfIssuerSession, FindBrowserSession, KeepRenewed, LetGoRenewal, OpenBrowserSession,
    PurgeBrowserSessions, TakeRenewal, TouchBrowserSession,
};
pub use client::{
    AddClientSecret, ClientIds, ClientSecret, CreateClient, Created, DeleteClient, FindClient,
    ListClients, NewSecret, RevokeClient, SetClientEnabled, StoredClient, UpdateClient, Updated,
};
pub use count::{CountRows, Counted};
pub use database_clock::ReadClock;
pub use device_authorization::{
    DecideDeviceAuthorization, DeviceDecision, FindByUserCode, FindDeviceAuthorization,
    OpenDeviceAuthorization, Opened, WaitingDevice,
};
pub use dialect::Engine;
pub use discharge::{
    DecideDischarge, Decision, FindDischarge, OpenDischarge, PollDischarge, Polled, TakeDischarge,
    Taken, Waiting,
};
pub use ending::{EndPart, HasLeft, HasMany, MANY, Whole};
pub use examine::{Examined, examine};
pub use fault::Fault;
#[cfg(feature = "faults")]
pub use faults::{Breaking, PLAN as FAULT_PLAN};
pub use feed::{Feed, FeedPage, LoadFeedPage, Position, RaiseHead, Version, read_feed};
pub use grant::{
    ClientRow, Consent, Consented, FindGrant, FindGrantById, Grant, GrantsOf, GrantsOfClient,
    WithdrawGrant,
};
pub use idle::EndIdle;
pub use job::{ClaimJob, FindHighWater, Lease, PURGE, Under};
pub use key::{
    AllKeys, ChangeKeys, Changed, DistrustKey, Distrusted, KeyChange, KeyState, LongestFamily,
    MASTER_KEY, RewrapKeys, Rewrapped, WorkingKey, Wrapped,
};
pub use meta::{ClaimMeta, FindMeta, RaiseMeta};
pub use migration::{Migrated, Migration, NewerMigrations};
pub use naming::{Deleted, Namers, NamersOf};
pub use organization::{
    CreateOrganization, DeleteOrganization, FindOrganization, ListOrganizations, Member, Members,
    Membership, MembershipsOf, Organization, RemoveMember, RevokeOrganization, SetMember,
    SetOrganizationEnabled, UpdateOrganization,
};
pub use outbox::{
    BoundReceivers, DeadLetter, Delivered, DropDeadLetter, DueReceivers, EnterReceiver,
    FetchMessages, ForgetGone, KEPT_DEAD, KEPT_WAITING, LeaseReceiver, Leased, ListDeadLetters,
    MAX_WAITING, MessageId, Noted, OutboxCounted, OutboxLine, OutboxState, OutboxTotals, Pause,
    PurgeOutbox, Refusal, Retried, RetryDeadLetter, SettleMessages, SettleStream, SweptOutbox,
    UnsettledStreams, WaitingMessage, Written,
};
pub use own_account::{ChangePassword, TakeAllBack};
pub use person::{
    Claims, CreatePerson, DeletePerson, FindPerson, FindPersonByName, ListPeople, Person,
    PersonWritten, RehashPassword, RevokePerson, SetPassword, SetPersonEnabled, UpdatePerson,
};
pub use purge::{Expired, PurgeExpired, PurgeKind, Purged};
pub use refresh_family::{
    Digest16, EndFamily, FIRST_GENERATION, FamiliesOf, FamilyAuthority, FamilyLine, FindFamily,
    GrantUse, GrantUsesOf, Live, NewFamily, Present, PresentedAs, RefreshFamily, Renew,
    RevokeFamily, Rotate, Rotated,
};
pub use registered_client::{
    ClientOrigin, EndUnusedClients, EndedUnused, FindRegistration, LetClientGoOn, RegisterClient,
    Registered, Registration, ReplaceRegistration, RevokeUnlistedClient, StopClient,
};
pub use resource::{
    AllResources, CreateResource, DeleteResource, FindResource, ListResources, ResourceWritten,
    StoredResource, UpdateResource,
};
pub use revocation::{APART, FindRevocations, MAX_TOKEN_RECORDS, Revocation, RevokeToken, Target};
pub use schema::Finished;
pub use schema::apply::Contract;
pub use schema::level::TooHighLevel;
pub use schema::plan::{Lock, Phase, PlannedStatement, PlannedStep};
pub use schema::shape::SchemaShape;
pub use session::{
    EndSession, Ended, FindSession, MAX_UNENDED, OpenSession, ReauthenticateSession, Session,
    SessionsOf, TouchSession,
};
pub use session_others::EndOtherSessions;
pub use sign_in::FindWhoSignsIn;
pub use signal::{CLIENT, Event, Initiator, Message, ROLES, STREAM};
pub use signal_receipt::{SECURITY_EVENT, SignalEffect, SignalTaken, TakeSignal};
pub use signal_stream::{
    CreateStream, DeleteStream, FindStream, MAX_LEFT_OUT, MAX_STREAMS, SetSubject, SignalStream,
    StreamStatus, StreamWritten, StreamsOf, UpdateStream, VerifyStream,
};
pub use signal_subject::TellsOf;
pub use spent::{BEARER_ASSERTION, CLIENT_ASSERTION, SpendOnce, SpentProof, WasSpent};
pub use status_list::{
    EnterStatus, LoadStatusList, ReserveStatusBlock, STATUS_BLOCK, StatusBlock, StatusEntry,
    StatusPlaces,
};
pub use store::{Options, Store};
pub use together::{AllOrNothing, Step, ThenRead};
pub use token_life::{NOTED_AHEAD, NoteTokenLife, TokenLife, TokenLives};
pub use trusted_issuer::{
    AllTrustedIssuers, CreateTrustedIssuer, DeleteTrustedIssuer, FindTrustedIssuer,
    ListTrustedIssuers, RevokeTrustedIssuer, SetIssuerTrusted, StoredTrustedIssuer,
    UpdateTrustedIssuer,
};
pub use uses::{CountUses, FindUses, Use, Uses};

#[cfg(test)]
mod tests;
