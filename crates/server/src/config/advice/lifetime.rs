//! How long things live, and what that costs.

use symbolon_protocol::{GrantType, Lifetime};

use super::super::finding::Finding;
use super::super::schema::LIFETIMES;
use super::{Advice, DAY, HOUR};

/// Over `unwise` is warned of, over `most` is refused.
struct Bound {
    name: &'static str,
    lifetime: Lifetime,
    unwise: u32,
    most: u32,
    long: &'static str,
    because: &'static str,
}

impl Advice<'_, '_> {
    pub(super) fn on_lifetimes(&mut self) {
        for bound in self.bounds() {
            self.on_bound(&bound);
        }
        let lifetimes = self.draft.server.lifetimes.clone();
        for (name, idle, absolute) in [
            (
                "refresh_token_idle",
                lifetimes.refresh_token_idle,
                lifetimes.refresh_token_absolute,
            ),
            (
                "session_idle",
                lifetimes.session_idle,
                lifetimes.session_absolute,
            ),
        ] {
            if idle > absolute {
                let at = self.place_in("lifetimes", name);
                self.add(
                    Finding::error("lifetimes.idle.invalid", &at, format!("`{name}` is {idle}, more than the {absolute} that it lives at all"))
                        .because("the idle end would never be reached, so one of the two is not what was meant")
                        .repair(format!("write at most `{name} = \"{absolute}\"`")),
                );
            }
        }
        let mut clients = self.clients();
        let hits = clients.any(|client| {
            !client.is_confidential()
                && client.may_use(GrantType::RefreshToken)
                && client.refresh_grace.is_none()
        });
        drop(clients);
        if lifetimes.refresh_grace.as_seconds() == 0 && hits {
            let at = self.place_in("lifetimes", "refresh_grace");
            self.add(no_grace("lifetimes.refresh_grace.none", &at));
        }
    }

    fn on_bound(&mut self, bound: &Bound) {
        let seconds = bound.lifetime.as_seconds();
        let (name, lifetime) = (bound.name, bound.lifetime);
        let at = self.place_in("lifetimes", name);
        let default = LIFETIMES.find(name).map_or("", |key| key.example);
        if seconds == 0 && name != "refresh_grace" {
            self.add(
                Finding::error("lifetimes.zero", &at, format!("`{name}` is nothing at all"))
                    .because("it would be over before it was used")
                    .repair(format!("write `{name} = {default}`")),
            );
        }
        if seconds > bound.unwise {
            let most = Lifetime::seconds(bound.most);
            let refused = if bound.most == u32::MAX {
                String::new()
            } else {
                format!("; over `{most}` is refused")
            };
            let finding = Finding::warning(bound.long, &at, format!("`{name}` is {lifetime}"))
                .because(format!("{}{refused}", bound.because))
                .repair(format!(
                    "write `{name} = {default}`, or at most `\"{}\"`",
                    Lifetime::seconds(bound.unwise)
                ));
            self.add(Finding::error_if(seconds > bound.most, finding));
        }
    }

    #[rustfmt::skip]
    fn bounds(&self) -> Vec<Bound> {
        let own = &self.draft.server.lifetimes;
        const NONE: u32 = u32::MAX;
        let bound = |name, lifetime, (unwise, most), (long, because)| Bound { name, lifetime, unwise, most, long, because };
        vec![
            bound("authorization_code", own.authorization_code, (60, 600), ("lifetimes.authorization_code.long", "a code that leaks can be tried for that long")),
            bound("access_token", own.access_token, (HOUR, DAY), ("lifetimes.access_token.long", "whoever takes a token has it for that long wherever revocation is not asked")),
            bound("id_token", own.id_token, (HOUR, DAY), ("lifetimes.id_token.long", "an ID token says who signed in just now, not yesterday")),
            bound("refresh_token_idle", own.refresh_token_idle, (90 * DAY, NONE), ("lifetimes.refresh_token_idle.long", "a token that was forgotten somewhere still opens")),
            bound("refresh_token_absolute", own.refresh_token_absolute, (366 * DAY, NONE), ("lifetimes.refresh_token_absolute.long", "what a person agreed to so long ago they no longer know of")),
            bound("refresh_grace", own.refresh_grace, (120, 120), ("lifetimes.refresh_grace.long", "a stolen predecessor is answered like a retry for that long")),
            bound("pushed_request", own.pushed_request, (600, NONE), ("lifetimes.pushed_request.long", "a request that was pushed is meant to be opened at once")),
            bound("device_code", own.device_code, (1800, NONE), ("lifetimes.device_code.long", "a code that is shown can be guessed, or talked out of somebody, for that long")),
            bound("session_idle", own.session_idle, (7 * DAY, NONE), ("lifetimes.session_idle.long", "a browser that was left open stays signed in")),
            bound("session_absolute", own.session_absolute, (30 * DAY, NONE), ("lifetimes.session_absolute.long", "a browser that was lost stays signed in for that long")),
        ]
    }
}

/// No grace where losing an answer costs the sign-in.
pub(super) fn no_grace(code: &'static str, at: &super::super::Location) -> Finding {
    Finding::warning(code, at, "`refresh_grace` is 0 for public clients")
        .because("an answer that is lost on the way leaves the client with a spent token, and its retry ends the family")
        .repair("write `refresh_grace = \"90s\"`")
}
