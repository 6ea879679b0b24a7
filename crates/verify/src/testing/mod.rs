//! An issuer for the tests of an API: in this process, without a network, on a
//! clock that moves when it is told to.
//!
//! ```
//! use symbolon_verify::testing::Issuer;
//! use symbolon_verify::{Check, Requirement};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let issuer = Issuer::new("https://api.example.com");
//! let verifier = issuer.verifier();
//! let demand = Requirement::all(["read:invoices"]);
//!
//! let good = issuer.token().subject("usr_alice").scopes(["read:invoices"]);
//! let caller = verifier.check(&*good.sign(), &demand).await.unwrap();
//! assert_eq!(caller.subject(), "usr_alice");
//!
//! for check in Check::ALL {
//!     let refused = verifier.check(&*good.clone().breaking(check).sign(), &demand).await;
//!     assert_eq!(refused.unwrap_err().check(), Some(check));
//! }
//! # });
//! ```

mod clock;
mod issuer;
mod token;

pub use clock::TestClock;
pub use issuer::{Availability, Issuer};
pub use token::TestToken;

pub(crate) use issuer::Responder;
