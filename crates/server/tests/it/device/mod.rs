//! Devices: they ask, a person decides in a browser, and they fetch.

mod bound;
mod flow;
mod guess;
mod page;
mod withdrawn;
mod world;

pub(crate) use world::{
    allow, begin, configuration, decide, enter, page_of, poll, sign_in, started,
};
