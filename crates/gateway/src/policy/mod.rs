//! Whether a request that is good may pass here and now: policies of ours, of
//! somebody else, and risk.
//!
//! 1. `scene` makes a `question` of a request.
//! 2. `cedar` answers it by the operator's policies, `pdp` asks another decision
//!    point.
//! 3. `stage` puts both and risk together, and says no where one of them does.
//!
//! Spec: NIST SP 800-207 §3

#[cfg(not(feature = "cedar"))]
mod absent;
mod again;
#[cfg(feature = "cedar")]
mod cedar;
mod evaluation;
mod pdp;
mod question;
mod ruling;
mod scene;
mod settings;
mod stage;

#[cfg(not(feature = "cedar"))]
pub use absent::Policies;
#[cfg(feature = "cedar")]
pub use cedar::{Mistake, Names, Policies, PolicyFiles, SCHEMA};
pub use question::{Asked, Asker, Bound, Circumstances, Kind, Looked, Question};
pub use ruling::{Answer, NotASignIn, Ruling, SignIn};
pub use settings::{DecisionPoint, Mode, PolicySettings, Watched};

pub(crate) use again::Again;
#[cfg(feature = "cedar")]
pub(crate) use evaluation::Evaluation;
pub(crate) use settings::Policy;
pub(crate) use stage::{Asking, noted, rule};
