//! What the buttons of the account page are for. Each form names one thing, and
//! is tied to it, to the session that it was shown to, and to the browser.
//!
//! Spec: RFC 9700 §4.7

use std::fmt;
use std::str::FromStr;

use symbolon_token::{Grant, Id, Session};

use crate::authn::session::LiveSession;
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::pages::FormTies;

/// What the CSRF tokens of these forms are about.
const PURPOSE: &str = "csrf-account";

/// What one form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Button {
    /// Takes the access of one application away.
    Withdraw(Id<Grant>),
    /// Ends one session.
    SignOut(Id<Session>),
    /// Ends all sessions but this one.
    Others,
    /// Takes everything back.
    Everything,
    /// Changes the password.
    Password,
}

impl fmt::Display for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Withdraw(id) => write!(f, "withdraw {id}"),
            Self::SignOut(id) => write!(f, "sign-out {id}"),
            Self::Others => f.write_str("sign-out-others"),
            Self::Everything => f.write_str("everything"),
            Self::Password => f.write_str("password"),
        }
    }
}

impl FromStr for Button {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::invalid_request("this form is for nothing that there is");
        match text.split_once(' ') {
            Some(("withdraw", id)) => id.parse().map(Self::Withdraw).map_err(|_| unknown()),
            Some(("sign-out", id)) => id.parse().map(Self::SignOut).map_err(|_| unknown()),
            None if text == "sign-out-others" => Ok(Self::Others),
            None if text == "everything" => Ok(Self::Everything),
            None if text == "password" => Ok(Self::Password),
            _ => Err(unknown()),
        }
    }
}

impl Button {
    /// The ties of its form.
    pub(super) fn ties(self, cx: &Cx, browser: &Browser, session: &LiveSession) -> FormTies {
        let transaction = self.to_string();
        FormTies {
            csrf: browser.csrf(cx, PURPOSE, &about(&transaction, session)),
            transaction,
        }
    }

    /// The button that was pressed: of a form that this session was shown in
    /// this browser, and of no other.
    pub(super) fn pressed(
        cx: &Cx,
        browser: &Browser,
        session: &LiveSession,
        (transaction, csrf): (&str, Option<&str>),
    ) -> Result<Self, Refusal> {
        browser.check_csrf(cx, PURPOSE, &about(transaction, session), csrf)?;
        transaction.parse()
    }
}

fn about(transaction: &str, session: &LiveSession) -> String {
    format!("{} {transaction}", session.session.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_reads_back_as_it_was_written() {
        for button in [
            Button::Withdraw(Id::from_bytes([1; 16]).unwrap()),
            Button::SignOut(Id::from_bytes([2; 16]).unwrap()),
            Button::Others,
            Button::Everything,
            Button::Password,
        ] {
            assert_eq!(button.to_string().parse(), Ok(button));
        }
        for bad in ["", "withdraw", "withdraw x", "everything now", "Password"] {
            assert!(bad.parse::<Button>().is_err(), "{bad}");
        }
    }
}
