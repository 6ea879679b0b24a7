//! The authorization server: endpoints, grants, sign-in, pages, administration.

mod acquainted;
pub mod admin;
pub mod app;
mod applicable;
pub mod apply;
mod apply_people;
mod authn;
pub mod backup;
pub mod certificate;
mod client_certificate;
pub mod clock;
pub mod config;
mod cx;
mod directory;
pub mod doctor;
mod encryption;
mod endpoint;
mod failure;
mod feed;
mod fetch;
mod grant;
mod holder;
mod job;
pub mod keys;
pub mod launch;
mod limit;
mod metadata;
mod metric;
mod outage;
mod pace;
mod pages;
mod person;
pub mod proof;
mod received;
mod recent;
pub mod reload;
mod respond;
pub mod routes;
mod seen;
pub mod serve;
mod settings;
mod status_places;
#[cfg(feature = "testing")]
pub mod testing;

pub use app::App;
