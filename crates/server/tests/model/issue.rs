//! What clients do: they are issued tokens, renew, exchange and narrow them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_server::testing::{Answer, ORDERS};
use symbolon_token::jose::Unverified;
use symbolon_token::macaroon::{self, Caveat};

use super::book::{Form, Token, Who, scopes};
use super::op::{By, Key, Wished};
use super::proof::{Holder, SIGNER, Used, asserted};
use super::setting::{ALONE, SAFE, STOCK, WANTS, sector};
use super::world::{Held, World, as_expected, hold, pick};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// How long an access token lives, in milliseconds.
const LIFE: i64 = 600_000;
/// How long a direct predecessor is answered, in milliseconds.
const GRACE: i64 = 90_000;
/// How long a key set is kept by whoever asked for it, in milliseconds.
const KEPT: i64 = 3_600_000;
/// How long chains of exchanges become here.
const DEEPEST: usize = 3;

/// A token that was just issued, and what it may be at most.
pub(super) struct Fresh<'a> {
    pub(super) answer: &'a Answer,
    pub(super) form: Form,
    pub(super) client: &'static str,
    pub(super) who: Option<Who>,
    pub(super) organization: bool,
    pub(super) resource: &'static str,
    pub(super) scopes: BTreeSet<String>,
    /// When what it comes from ends, in milliseconds.
    pub(super) ends: i64,
    pub(super) family: Option<usize>,
    /// The key that it has to be bound to.
    pub(super) key: Option<usize>,
    pub(super) proved: Option<i64>,
    pub(super) parents: Vec<usize>,
}

impl World {
    /// Enters a token into the book, after comparing what it is with what it
    /// may be.
    pub(super) fn note(&mut self, fresh: Fresh<'_>) -> Held {
        let text = fresh.answer.text("access_token");
        let told = scopes(&fresh.answer.text("scope"));
        hold!(
            "I06",
            match fresh.parents.is_empty() {
                true => told == fresh.scopes,
                false => told.is_subset(&fresh.scopes),
            },
            "{told:?} of {:?}",
            fresh.scopes
        );
        let expires = fresh.ends.min(self.book.now + LIFE) / 1000;
        let said = self.book.now / 1000 + fresh.answer.json()["expires_in"].as_i64().unwrap();
        hold!("I07", said == expires, "ends at {said}, not at {expires}");
        let is_jwt = text.split('.').count() == 3 && text.starts_with("ey");
        let kid = is_jwt.then(|| {
            Unverified::parse(&text)
                .unwrap()
                .claimed_kid()
                .unwrap()
                .to_owned()
        });
        self.i17_who_signs_was_published_long_enough(kid.as_deref())?;
        self.i14_binding_never_weakens(&fresh)?;
        self.i21_an_id_token_says_no_more(&fresh)?;
        self.minted = self.offset();
        let depth = fresh
            .parents
            .first()
            .map_or(0, |own| self.book.tokens[*own].depth + 1);
        self.book.tokens.push(Token {
            text,
            form: fresh.form,
            client: fresh.client,
            who: fresh.who,
            organization: fresh.organization,
            resource: fresh.resource,
            scopes: told,
            expires,
            family: fresh.family,
            parents: fresh.parents,
            depth,
            key: fresh.key,
            proved: fresh.proved,
            kid,
            is_dead: false,
        });
        Ok(())
    }

    /// I14: what comes of something bound to a key is bound as well, and says so.
    fn i14_binding_never_weakens(&self, fresh: &Fresh<'_>) -> Held {
        let kind = if fresh.form == Form::Assertion {
            "N_A"
        } else if fresh.key.is_some() {
            "DPoP"
        } else {
            "Bearer"
        };
        let told = fresh.answer.text("token_type");
        hold!("I14", told == kind, "{told}, not {kind}");
        let begun = fresh.family.and_then(|own| self.book.families[own].key);
        hold!("I14", begun.is_none() || fresh.key.is_some(), "unbound");
        for parent in &fresh.parents {
            let own = self.book.tokens[*parent].key;
            hold!("I14", own.is_none() || own == fresh.key, "{own:?} was lost");
        }
        Ok(())
    }

    /// I21: nor does an ID token.
    fn i21_an_id_token_says_no_more(&self, fresh: &Fresh<'_>) -> Held {
        let told = fresh.answer.json();
        let Some(text) = told["id_token"].as_str() else {
            return Ok(());
        };
        let payload = text.split('.').nth(1).unwrap();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        hold!("I21", claims["amr"] == json!(["pwd"]), "{claims}");
        self.i21_a_token_says_no_more_of_a_sign_in(fresh.proved, &claims)
    }

    /// I17: a key signs only when every set that is kept somewhere names it.
    fn i17_who_signs_was_published_long_enough(&self, kid: Option<&str>) -> Held {
        let Some(kid) = kid else {
            return Ok(());
        };
        let since = self.published.get(kid);
        hold!(
            "I17",
            since.is_some(),
            "signed by {kid}, which is not published"
        );
        if let Some(Some(since)) = since {
            let age = self.book.now - self.offset() - since;
            hold!(
                "I17",
                age >= KEPT,
                "{kid} signs {age} ms after it was published"
            );
        }
        Ok(())
    }

    /// A client asks for itself.
    pub(super) async fn machine(&mut self, node: usize, want: u8, key: Key) -> Held {
        let at = usize::from(want) % ALONE.len();
        self.alone(node, at, key.after(None)).await.map(drop)
    }

    /// The same; the number of the token, where one was issued.
    async fn alone(&mut self, node: usize, at: usize, key: Option<usize>) -> Held<Option<usize>> {
        let (client, resource, asked) = ALONE[at];
        let assertion = (client == SIGNER).then(|| self.peers[node].assertion());
        // Each of the two is good once, so no request is made again with both.
        let key = key.filter(|_| assertion.is_none());
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("resource", resource),
            ("scope", asked),
        ];
        form.extend(assertion.iter().flat_map(|own| asserted(own)));
        let holder = Holder { key, who: None };
        let answer = self.show(node, client, &form, holder).await;
        self.used.extend(assertion.map(Used::Assertion));
        as_expected("I11", &answer, self.book.is_on(client))?;
        if answer.status != 200 {
            return Ok(None);
        }
        self.note(Fresh {
            answer: &answer,
            form: match client {
                "baker" => Form::Macaroon,
                _ => Form::Access,
            },
            client,
            who: None,
            organization: false,
            resource,
            scopes: scopes(asked),
            ends: i64::MAX,
            family: None,
            key,
            proved: None,
            parents: Vec::new(),
        })?;
        Ok(Some(self.book.tokens.len() - 1))
    }

    /// A refresh token is shown: of a family, and so many before the current.
    pub(super) async fn refresh(
        &mut self,
        node: usize,
        (family, back): (u8, u8),
        (wished, key): (Wished, Key),
        by: By,
    ) -> Held {
        let renewable: Vec<usize> = (0..self.book.families.len())
            .filter(|at| !self.book.families[*at].leaves.is_empty())
            .collect();
        let Some(picked) = pick(family, renewable.len()) else {
            return Ok(());
        };
        let at = renewable[picked];
        let own = self.book.families[at].clone();
        let back = usize::from(back).min(own.leaves.len() - 1);
        let shown = &own.leaves[own.leaves.len() - 1 - back];
        let want = &WANTS[own.want];
        let less = scopes(want.scopes)
            .into_iter()
            .find(|own| own.contains("read:"))
            .unwrap();
        let more = format!("{} address", want.scopes);
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", &**shown)];
        match wished {
            Wished::All => {}
            Wished::Less => form.push(("scope", &less)),
            Wished::More => form.push(("scope", &more)),
        }
        let client = match by {
            By::Owner => own.client,
            By::Other => "spare",
        };
        let key = key.after(own.key);
        // Who proves itself besides may change its key, but not do without.
        let is_held = match own.key {
            None => true,
            Some(_) if client == "cli" => key == own.key,
            Some(_) => key.is_some(),
        };
        let reaches = by == By::Owner
            && wished != Wished::More
            && is_held
            && self.book.is_on(client)
            && self.book.family_lives(at);
        let is_retry = back == 1 && self.book.now - own.rotated < GRACE;

        let holder = Holder {
            key,
            who: Some(own.who),
        };

        let answer = self.show(node, client, &form, holder).await;

        as_expected("I03", &answer, reaches && (back == 0 || is_retry))?;
        if answer.status == 200 {
            let asked = match wished {
                Wished::Less => scopes(&less),
                _ => scopes(want.scopes),
            };
            return self.renewed((at, back), &answer, asked, key);
        }
        if reaches {
            self.book.end_family(at);
            self.tells("refresh.reuse");
        }
        Ok(())
    }

    fn renewed(
        &mut self,
        (at, back): (usize, usize),
        answer: &Answer,
        asked: BTreeSet<String>,
        key: Option<usize>,
    ) -> Held {
        let (leaf, now) = (answer.text("refresh_token"), self.book.now);
        let own = &mut self.book.families[at];
        let stays = own.client == "cli" && own.key.is_some();
        if stays {
            // Without its key it is worth nothing, so it is not rotated.
            hold!("I01", own.leaves == [leaf], "a bound leaf was rotated");
            own.idle_ends = (now + 14 * super::ask::DAY).min(own.absolute_ends);
        } else if back == 0 {
            hold!("I01", !own.leaves.contains(&leaf), "an old leaf again");
            own.leaves.push(leaf);
            own.rotated = now;
            own.idle_ends = (now + 14 * super::ask::DAY).min(own.absolute_ends);
        } else {
            let current = own.leaves.last();
            hold!(
                "I01",
                Some(&leaf) == current,
                "a retry got another successor"
            );
        }
        let (who, want, ends) = (own.who, &WANTS[own.want], own.absolute_ends);
        let proved = Some(own.proved);
        self.note(Fresh {
            answer,
            form: super::ask::form_of(want),
            client: want.client,
            who: Some(who),
            organization: want.organization,
            resource: want.resource,
            scopes: asked,
            ends,
            family: Some(at),
            key,
            proved,
            parents: Vec::new(),
        })
    }

    /// The carrier exchanges somebody's token, acting for them, and may be asked
    /// for an assertion.
    pub(super) async fn exchange(&mut self, node: usize, (token, to): (u8, u8), key: Key) -> Held {
        let may_go = |own: &Token| {
            own.depth < DEEPEST
                && match own.form {
                    Form::Access => [ORDERS, STOCK, SAFE].contains(&own.resource),
                    Form::Assertion => true,
                    Form::Macaroon => false,
                }
        };
        let Some(at) = self.latest_token(token, may_go) else {
            return Ok(());
        };
        let Some(actor) = self.alone(node, 3, None).await? else {
            return Ok(());
        };
        let own = self.book.tokens[at].clone();
        let (resource, form) = match to % 4 {
            0 => (STOCK, Form::Access),
            1 => (STOCK, Form::Assertion),
            _ => (SAFE, Form::Access),
        };
        let kind = |form| match form {
            Form::Assertion => "urn:ietf:params:oauth:token-type:saml2",
            _ => "urn:ietf:params:oauth:token-type:access_token",
        };
        let acting = self.book.tokens[actor].clone();
        let asked = [
            ("grant_type", EXCHANGE),
            ("subject_token", &*own.text),
            ("subject_token_type", kind(own.form)),
            ("actor_token", &*acting.text),
            ("actor_token_type", kind(Form::Access)),
            ("requested_token_type", kind(form)),
            ("resource", resource),
        ];
        // A name that one sector alone knows goes to nobody else.
        let is_hidden = own.who.is_some() && sector(own.client).is_some();
        let is_live = self.book.token_lives(at);
        let key = key.after(own.key);
        let is_held = own.key.is_none() || own.key == key;
        // An assertion is for whoever has it.
        let may_be = form != Form::Assertion || key.is_none();
        let holder = Holder { key, who: None };

        let answer = self.show(node, "carrier", &asked, holder).await;

        as_expected("I16", &answer, is_live && !is_hidden && is_held && may_be)?;
        if answer.status != 200 {
            return Ok(());
        }
        self.note(Fresh {
            answer: &answer,
            form,
            client: "carrier",
            who: own.who,
            organization: own.organization,
            resource,
            scopes: own.scopes,
            ends: own.expires.min(acting.expires) * 1000,
            family: None,
            key,
            proved: own.proved,
            parents: vec![at, actor],
        })
    }

    /// A holder narrows a macaroon, and asks nobody.
    pub(super) fn attenuate(&mut self, token: u8, how: u8) -> Held {
        let is_macaroon = |own: &Token| own.form == Form::Macaroon && own.depth < DEEPEST;
        let Some(at) = self.latest_token(token, is_macaroon) else {
            return Ok(());
        };
        let mut own = self.book.tokens[at].clone();
        let mut is_nobodys = false;
        let caveat = match how % 3 {
            0 => {
                let ends = self.book.now / 1000 + 60;
                own.expires = own.expires.min(ends);
                format!("before = {}", Timestamp::from_seconds(ends))
            }
            1 => {
                own.scopes.retain(|scope| scope == "read:files");
                "scope = read:files".to_owned()
            }
            _ => {
                let number = usize::from(how) / 3 % self.wallets.len();
                // No one key is two.
                is_nobodys = own.key.is_some_and(|key| key != number);
                own.key = Some(number);
                format!("jkt = {}", self.wallets[number].kid())
            }
        };
        let caveat: Caveat = caveat.parse().unwrap();
        own.text = macaroon::attenuate(&own.text, &[caveat]).unwrap();
        own.depth += 1;
        own.family = None;
        own.parents = vec![at];
        own.is_dead = is_nobodys;
        self.book.tokens.push(own);
        Ok(())
    }

    /// One of the latest tokens of a kind: of older ones few live.
    pub(super) fn latest_token(&self, byte: u8, is_it: impl Fn(&Token) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.book.tokens.len())
            .filter(|at| is_it(&self.book.tokens[*at]))
            .collect();
        let back = pick(byte, all.len().min(8))?;
        Some(all[all.len() - 1 - back])
    }
}
