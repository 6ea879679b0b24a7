//! Which token format fits a resource: three questions and a reason.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use symbolon_protocol::TokenFormat;

use crate::cx::Cx;
use crate::respond;

use super::super::call::Call;
use super::super::failed::Outcome;

/// The three questions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Questions {
    /// Must a token die at once when it is taken back?
    must_die_at_once: bool,
    /// Do many services check it?
    many_services_check: bool,
    /// May the holder read what is in it?
    holder_may_read: bool,
}

/// What fits, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Advice {
    token_format: TokenFormat,
    why: &'static str,
}

pub(in super::super) async fn advise(_: Cx, call: Call) -> Outcome {
    let questions: Questions = call.document()?;
    Ok(respond::json(StatusCode::OK, &questions.answer()))
}

impl Questions {
    fn answer(self) -> Advice {
        let (token_format, why) = match (
            self.holder_may_read,
            self.must_die_at_once,
            self.many_services_check,
        ) {
            (false, _, _) => (
                TokenFormat::Opaque,
                "the holder must not read it, and anybody can read a JWT; an opaque token is noise to all but this server",
            ),
            (true, true, false) => (
                TokenFormat::Opaque,
                "it must die at once, and few services check it: asking this server each time is the surest and costs little",
            ),
            (true, true, true) => (
                TokenFormat::Jwt,
                "many services check it: they verify the signature themselves and ask this server only whether it was taken back, at most once a second for each token",
            ),
            (true, false, true) => (
                TokenFormat::Jwt,
                "many services check it and it may live until it expires: each verifies the signature itself and asks nobody",
            ),
            (true, false, false) => (
                TokenFormat::Jwt,
                "it may live until it expires: the signature is checked without asking this server, so the API works while it is away",
            ),
        };
        Advice { token_format, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(
        must_die_at_once: bool,
        many_services_check: bool,
        holder_may_read: bool,
    ) -> TokenFormat {
        Questions {
            must_die_at_once,
            many_services_check,
            holder_may_read,
        }
        .answer()
        .token_format
    }

    #[test]
    fn what_the_holder_must_not_read_is_never_a_jwt() {
        for (dies, many) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(format(dies, many, false), TokenFormat::Opaque);
        }
    }

    #[test]
    fn what_few_services_check_and_must_die_at_once_is_opaque() {
        assert_eq!(format(true, false, true), TokenFormat::Opaque);
        assert_eq!(format(true, true, true), TokenFormat::Jwt);
        assert_eq!(format(false, false, true), TokenFormat::Jwt);
    }
}
