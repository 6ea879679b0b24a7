//! What clients do: they are issued tokens, renew, exchange and narrow them.

use std::collections::BTreeSet;

use symbolon_protocol::Timestamp;
use symbolon_server::testing::{Answer, ORDERS};
use symbolon_token::jose::Unverified;
use symbolon_token::macaroon::{self, Caveat};

use super::book::{Form, Token, Who, scopes};
use super::op::{By, Wished};
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
            kid,
            is_dead: false,
        });
        Ok(())
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
    pub(super) async fn machine(&mut self, node: usize, want: u8) -> Held {
        let at = usize::from(want) % ALONE.len();
        self.alone(node, at).await.map(drop)
    }

    /// The same; the number of the token, where one was issued.
    async fn alone(&mut self, node: usize, at: usize) -> Held<Option<usize>> {
        let (client, resource, asked) = ALONE[at];
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", resource),
            ("scope", asked),
        ];
        let answer = self.peers[node].token(client, &form).await;
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
            parents: Vec::new(),
        })?;
        Ok(Some(self.book.tokens.len() - 1))
    }

    /// A refresh token is shown: of a family, and so many before the current.
    pub(super) async fn refresh(
        &mut self,
        node: usize,
        (family, back): (u8, u8),
        wished: Wished,
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
        let reaches = by == By::Owner
            && wished != Wished::More
            && self.book.is_on(client)
            && self.book.family_lives(at);
        let is_retry = back == 1 && self.book.now - own.rotated < GRACE;

        let answer = self.peers[node].token(client, &form).await;

        as_expected("I03", &answer, reaches && (back == 0 || is_retry))?;
        if answer.status == 200 {
            let asked = match wished {
                Wished::Less => scopes(&less),
                _ => scopes(want.scopes),
            };
            return self.renewed(at, back, &answer, asked);
        }
        if reaches {
            self.book.end_family(at);
            self.tells("refresh.reuse");
        }
        Ok(())
    }

    fn renewed(
        &mut self,
        at: usize,
        back: usize,
        answer: &Answer,
        asked: BTreeSet<String>,
    ) -> Held {
        let (leaf, now) = (answer.text("refresh_token"), self.book.now);
        let own = &mut self.book.families[at];
        if back == 0 {
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
            parents: Vec::new(),
        })
    }

    /// The carrier exchanges somebody's token, acting for them, and may be asked
    /// for an assertion.
    pub(super) async fn exchange(&mut self, node: usize, token: u8, to: u8) -> Held {
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
        let Some(actor) = self.alone(node, 3).await? else {
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

        let answer = self.peers[node].token("carrier", &asked).await;

        as_expected("I16", &answer, is_live && !is_hidden)?;
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
        let caveat = if how.is_multiple_of(2) {
            let ends = self.book.now / 1000 + 60;
            own.expires = own.expires.min(ends);
            format!("before = {}", Timestamp::from_seconds(ends))
        } else {
            own.scopes.retain(|scope| scope == "read:files");
            "scope = read:files".to_owned()
        };
        let caveat: Caveat = caveat.parse().unwrap();
        own.text = macaroon::attenuate(&own.text, &[caveat]).unwrap();
        own.depth += 1;
        own.family = None;
        own.parents = vec![at];
        own.is_dead = false;
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
