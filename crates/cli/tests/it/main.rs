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
mod explain;
mod failover;
mod feed;
mod full_disk;
mod gateway;
mod greeting;
mod handover;
mod idle;
mod keep;
mod keys;
mod kill;
mod leak;
mod leaks;
mod nodes;
mod openidconnect;
mod operate;
mod page;
mod partition;
mod program;
mod races;
mod secrets;
mod serve;
mod sigterm;
mod stub;
mod trail;
mod webdriver;
