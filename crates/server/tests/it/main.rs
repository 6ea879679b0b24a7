//! The authorization server, driven over HTTP on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

mod access;
mod account;
mod administered;
mod again;
mod api_key;
mod assertion;
mod audit;
mod browser;
mod cancel;
mod claims;
mod client_document;
mod code;
mod consent;
mod crowd;
mod device;
mod discharge;
mod dpop;
mod encryption;
mod encryption_peer;
mod exchange;
mod explain;
mod explain_taken_back;
mod front;
mod guess;
mod guesses;
mod harness;
mod hostile;
mod keys;
mod lifecycle;
mod listener;
mod macaroon;
mod machine;
mod mutual_tls;
mod names;
mod oidc;
mod operator;
mod pairwise;
mod peers;
mod preflight;
mod proof;
mod races;
mod readers;
mod redirect;
mod refresh;
mod registration;
mod reload;
mod reregistration;
mod revocations;
mod rotation;
mod setting;
mod sign_in;
mod signals;
mod since;
mod skew;
mod status_list;
mod token_life;
mod withdrawal;

/// Makes one test of a scenario for each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::harness::Server::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::harness::Server::on_postgres().await).await;
            })*
        }
    };
}
