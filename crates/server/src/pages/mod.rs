//! What a person sees: one struct per page, one template per struct, one stylesheet for all.
//!
//! A handler fills a page's struct and answers with [`Page::response`], which
//! adds the headers that every page carries. Nothing here reads a request, the
//! store or a clock.
//!
//! Only English exists, so `ui_locales` changes nothing and every page says
//! `lang="en"`. `display` changes nothing either: the one layout fits a popup
//! and a phone.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.1
//! Spec: OAuth 2.1 §7.12

mod account;
mod agent;
mod approve;
pub(crate) mod assets;
mod consent;
mod device;
mod error;
pub(crate) mod form_post;
mod login;
mod logout;
mod page;
mod parts;
mod policy;
mod signed_out;
mod status;
pub(crate) mod text;

pub(crate) use self::account::{
    AccountEndedPage, AccountPage, Again, Application, Device, Moment, PasswordFailure,
    PasswordForm, WideAct,
};
pub(crate) use self::agent::agent_words;
pub(crate) use self::approve::{ApprovePage, ApproveStep, Requested};
pub(crate) use self::assets::asset;
pub(crate) use self::consent::{
    ConsentPage, ConsentResource, ConsentScope, Lasting, Paper, ScopeChoice, Vouched,
};
pub(crate) use self::device::{AskingDevice, CodeFailure, DevicePage, DeviceStep, Proof};
pub(crate) use self::error::ErrorPage;
pub(crate) use self::form_post::FormPostPage;
pub(crate) use self::login::{LoginFailure, LoginPage};
pub(crate) use self::logout::LogoutPage;
pub(crate) use self::page::Page;
pub(crate) use self::parts::{Account, Client, FormTies, Link, Place, Site};
pub(crate) use self::policy::FormAction;
pub(crate) use self::signed_out::SignedOutPage;
pub(crate) use self::status::{FeedState, KeyRow, RowCounts, StatusPage};

#[cfg(test)]
mod tests;
