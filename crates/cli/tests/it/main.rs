//! The binary itself: what newcomers run, what clients and browsers that others
//! wrote get from it, and what it does when it is killed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

/// Makes one test of a scenario for each engine.
macro_rules! on_both_engines {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::program::Engine::Sqlite).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::program::Engine::Postgres).await;
            })*
        }
    };
}

mod account;
mod acts;
mod administration;
mod apikey;
mod authlib;
mod bounds;
mod browser;
mod check;
mod chromium;
mod clock;
mod cluster;
mod configuration;
mod damage;
mod database;
mod demo;
mod dev;
mod device;
mod doctor;
mod examples;
mod explain;
#[cfg(feature = "cedar")]
mod explain_policy;
mod failover;
mod fallen;
mod feed;
mod first_route;
mod forward_auth;
mod full_disk;
mod gateway;
mod graphql;
mod greeting;
mod handover;
mod idle;
mod keep;
mod keys;
mod kill;
mod kill_nodes;
mod leak;
mod leaks;
mod mcp;
mod mixed;
mod nodes;
mod openidconnect;
mod operate;
mod page;
mod page_app;
mod partition;
#[cfg(feature = "cedar")]
mod policy;
mod program;
mod races;
mod secrets;
mod serve;
mod sigterm;
mod spans;
mod stub;
mod trail;
mod webdriver;
mod wire;
