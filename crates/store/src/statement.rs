//! Statements: static, registered, written once and rendered for each engine.

use std::sync::OnceLock;

use crate::dialect::Engine;

/// One statement. Made by [`statements!`] alone, which registers it, so that a
/// test can prepare every one on both engines.
#[derive(Debug)]
pub(crate) struct Sql {
    text: &'static str,
    only: Option<Engine>,
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Sql {
    pub(crate) const fn new(text: &'static str, only: Option<Engine>) -> Self {
        Self {
            text,
            only,
            sqlite: OnceLock::new(),
            postgres: OnceLock::new(),
        }
    }

    pub(crate) fn text(&self, engine: Engine) -> &str {
        let rendered = match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &self.postgres,
        };
        rendered.get_or_init(|| engine.render(self.text))
    }

    /// Whether rows that come back, or are counted, were written.
    pub(crate) fn writes(&self) -> bool {
        !self.text.starts_with("SELECT")
    }

    /// Whether this engine runs the statement at all.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "asked by the test that prepares all")
    )]
    pub(crate) fn is_for(&self, engine: Engine) -> bool {
        self.only.is_none_or(|only| only == engine)
    }
}

/// Declares the statements of a file and the list of them.
macro_rules! statements {
    ($($(@$only:ident)? $name:ident = $text:expr;)+) => {
        $(pub(crate) static $name: $crate::statement::Sql =
            $crate::statement::Sql::new($text, $crate::statement::only!($($only)?));)+
        #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that prepares all"))]
        pub(crate) static STATEMENTS: &[&$crate::statement::Sql] = &[$(&$name),+];
    };
}

macro_rules! only {
    () => {
        None
    };
    ($engine:ident) => {
        Some($crate::dialect::Engine::$engine)
    };
}

pub(crate) use {only, statements};

/// Every statement there is.
#[cfg(test)]
pub(crate) fn registered() -> Vec<&'static Sql> {
    [
        crate::api_key::STATEMENTS,
        crate::uses::STATEMENTS,
        crate::api_key::change::STATEMENTS,
        crate::api_key::list::STATEMENTS,
        crate::api_key::used::STATEMENTS,
        crate::attempt::STATEMENTS,
        crate::audit::STATEMENTS,
        crate::audit::chain::STATEMENTS,
        crate::audit::link::STATEMENTS,
        crate::audit::list::STATEMENTS,
        crate::audit::start::STATEMENTS,
        crate::authorization_code::STATEMENTS,
        crate::backup::void::STATEMENTS,
        crate::client::STATEMENTS,
        crate::count::STATEMENTS,
        crate::database_clock::STATEMENTS,
        crate::device_authorization::STATEMENTS,
        crate::browser_session::STATEMENTS,
        crate::discharge::STATEMENTS,
        crate::ending::STATEMENTS,
        crate::ending::many::STATEMENTS,
        crate::feed::STATEMENTS,
        crate::grant::STATEMENTS,
        crate::idle::STATEMENTS,
        crate::job::STATEMENTS,
        crate::key::STATEMENTS,
        crate::key::change::STATEMENTS,
        crate::key::distrust::STATEMENTS,
        crate::key::rewrap::STATEMENTS,
        crate::meta::STATEMENTS,
        crate::migration::STATEMENTS,
        crate::naming::STATEMENTS,
        crate::organization::STATEMENTS,
        crate::outbox::STATEMENTS,
        crate::outbox::bound::STATEMENTS,
        crate::outbox::dead_letter::STATEMENTS,
        crate::outbox::delivery::STATEMENTS,
        crate::outbox::fetch::STATEMENTS,
        crate::outbox::part::STATEMENTS,
        crate::own_account::STATEMENTS,
        crate::person::STATEMENTS,
        crate::purge::STATEMENTS,
        crate::registered_client::STATEMENTS,
        crate::refresh_family::STATEMENTS,
        crate::refresh_family::list::STATEMENTS,
        crate::refresh_family::present::STATEMENTS,
        crate::refresh_family::rotation::STATEMENTS,
        crate::refresh_family::used::STATEMENTS,
        crate::resource::STATEMENTS,
        crate::revocation::STATEMENTS,
        crate::schema::apply::STATEMENTS,
        crate::schema::level::STATEMENTS,
        crate::schema::shape::STATEMENTS,
        crate::session::STATEMENTS,
        crate::session_client::STATEMENTS,
        crate::session_others::STATEMENTS,
        crate::sign_in::STATEMENTS,
        crate::signal_stream::STATEMENTS,
        crate::signal_subject::STATEMENTS,
        crate::spent::STATEMENTS,
        crate::status_list::STATEMENTS,
        crate::token_life::STATEMENTS,
        crate::trusted_issuer::STATEMENTS,
    ]
    .concat()
}
