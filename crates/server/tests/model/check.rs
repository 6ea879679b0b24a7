//! What has to hold after each operation: the invariants of the reliability
//! catalogue, by their ids.
//!
//! What every operation may break is a function here (I01, I02, I05 to I10,
//! I14 to I16, I21, I27, I29, I33, I34), what only the end of a sequence shows one in
//! `last` (I17, I18, I25, I28). What one kind of operation decides stands where
//! it is carried out: I03 and I06 at a refresh, I04 at a code, I07 and I17 at
//! each issue with I14 and I21, I11, I20 and I22 where somebody asks, I12 at what
//! takes back, I19 where something is shown again, I23 at a guess. I22 is about
//! how old and how strong a sign-in is: there is no second factor yet. A
//! refusal changes nothing in the book (I13, I32), so that whatever it changed
//! in the server is found by the next check.

use serde_json::{Value, json};
use symbolon_server::testing::ORDERS;

use super::book::{Form, Token, scopes};
use super::node::Peer;
use super::op::{Op, Step};
use super::setting::{SAFE, reader, sector};
use super::world::{Held, World, hold, place_of};

/// Whether the clocks of the nodes tell the right time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    /// They are a day ahead, and will be set right: what is seen expired then
    /// is not for good.
    Ahead,
}

impl World {
    /// Checks all that can be asked at any time.
    pub(super) async fn check(&mut self, step: Step) -> Held {
        self.check_tokens(When::Now).await?;
        let families: Vec<usize> = match step.op {
            Op::Refresh { .. } | Op::Redeem { .. } => self.latest_families(2),
            Op::Restore | Op::Crash => (0..self.book.families.len()).collect(),
            _ => self.latest_families(1),
        };
        for at in families {
            self.i01_one_leaf_lives(at).await?;
        }
        self.i33_each_change_is_told_once(step).await
    }

    fn latest_families(&self, count: usize) -> Vec<usize> {
        let all = 0..self.book.families.len();
        all.rev().take(count).collect()
    }

    /// Asks every node about every token of which something may be asked.
    pub(super) async fn check_tokens(&mut self, when: When) -> Held {
        for at in self.worth_asking() {
            for node in 0..self.peers.len() {
                self.look_from(node)?;
                self.i09_a_token_is_active_where_the_book_says_so(node, at, when)
                    .await?;
            }
        }
        self.look_plainly();
        Ok(())
    }

    /// The latest tokens, and all that live: what is dead long since was asked
    /// about while it was young.
    fn worth_asking(&self) -> Vec<usize> {
        let count = self.book.tokens.len();
        let is_worth = |at: &usize| *at + 12 >= count || self.book.token_lives(*at);
        (0..count).filter(is_worth).collect()
    }

    /// I01, I02: of all refresh tokens of a family at most the last lives, and
    /// none that was rotated away ever again.
    async fn i01_one_leaf_lives(&mut self, at: usize) -> Held {
        let own = self.book.families[at].clone();
        if !self.book.is_on(own.client) || own.client == "cli" {
            return Ok(());
        }
        let count = own.leaves.len();
        for (number, leaf) in own.leaves.iter().enumerate().skip(count.saturating_sub(3)) {
            let node = (at + number) % self.peers.len();
            self.look_from(node)?;
            let lives = self.book.family_lives(at);
            let told = self.peers[node].introspect(own.client, leaf).await;
            let is_last = number + 1 == count;
            let invariant = if is_last { "I01" } else { "I02" };
            hold!(
                invariant,
                told["active"] == (is_last && lives),
                "leaf {number} of {count} of family {at}, which lives: {lives}: {told}"
            );
        }
        self.look_plainly();
        Ok(())
    }

    /// I09, I10: what nodes say of a token is what the book says, and so the
    /// same on each.
    async fn i09_a_token_is_active_where_the_book_says_so(
        &mut self,
        node: usize,
        at: usize,
        when: When,
    ) -> Held {
        let own = self.book.tokens[at].clone();
        let lives = self.book.token_lives(at);
        if own.form == Form::Assertion {
            return self.an_assertion_is_taken_where_it_lives(node, at).await;
        }
        let told = self.peers[node]
            .introspect(reader(own.resource), &own.text)
            .await;
        hold!(
            "I09",
            told["active"] == lives,
            "token {at} on node {node}, which lives: {lives}: {own:?} {told}"
        );
        self.i08_what_ended_stays_so(at, &told, when)?;
        if !lives {
            return Ok(());
        }
        i15_nobody_else_is_told(&self.peers[node], &own).await?;
        i05_a_token_is_of_one_client_and_subject(&own, &told)?;
        i06_scopes_and_ends_are_those_that_were_issued(&own, &told)?;
        self.i14_a_token_is_bound_as_it_was(&own, &told)?;
        self.i21_a_token_says_no_more_of_a_sign_in(own.proved, &told)?;
        self.i27_a_subject_is_one_person(&own, &told)?;
        if when == When::Now {
            self.i34_time_moves_forward(at, &told)?;
        }
        Ok(())
    }

    /// An assertion is asked about by exchanging it.
    async fn an_assertion_is_taken_where_it_lives(&self, node: usize, at: usize) -> Held {
        if !self.book.is_on("carrier") {
            return Ok(());
        }
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", &*self.book.tokens[at].text),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:saml2",
            ),
            ("resource", SAFE),
        ];
        let answer = self.peers[node].token("carrier", &form).await;
        let lives = self.book.token_lives(at);
        hold!(
            "I09",
            (answer.status == 200) == lives,
            "assertion {at} on node {node}, which lives: {lives}: {}",
            answer.body
        );
        Ok(())
    }

    /// I08: what was seen dead is never good again.
    fn i08_what_ended_stays_so(&mut self, at: usize, told: &Value, when: When) -> Held {
        if told["active"] == true {
            hold!(
                "I08",
                !self.buried.contains(&at),
                "token {at} has come back: {told}"
            );
        } else if when == When::Now {
            hold!(
                "I24",
                *told == json!({ "active": false }),
                "says more: {told}"
            );
            // By the clock of another node it may live a little longer.
            if self.is_over(at) {
                self.buried.insert(at);
            }
        }
        Ok(())
    }

    /// I14: a token is bound to the key that it was issued for, or narrowed to.
    fn i14_a_token_is_bound_as_it_was(&self, own: &Token, told: &Value) -> Held {
        let key = own.key.map(|at| self.wallets[at].kid());
        hold!("I14", told["cnf"]["jkt"].as_str() == key, "{own:?} {told}");
        Ok(())
    }

    /// I21: a token tells the sign-in that it comes of, and none that was stronger
    /// or later. By the clock of another node it may have been after the token:
    /// then the token says that it was at the same time.
    pub(super) fn i21_a_token_says_no_more_of_a_sign_in(
        &self,
        proved: Option<i64>,
        told: &Value,
    ) -> Held {
        let (time, acr) = (told["auth_time"].as_i64(), told["acr"].as_str());
        let Some(proved) = proved else {
            hold!("I21", time.is_none() && acr.is_none(), "nobody's: {told}");
            return Ok(());
        };
        let (time, latest) = (time.unwrap_or(i64::MAX), proved / 1000);
        let apart = self.engine.ahead().abs() / 1000;
        hold!(
            "I21",
            (latest - apart..=latest).contains(&time)
                && Some(time) <= told["iat"].as_i64()
                && acr == Some("1"),
            "somebody signed in at {latest}, and told is {told}"
        );
        Ok(())
    }

    /// I27, I29: one name is one person for ever, and no client's.
    fn i27_a_subject_is_one_person(&mut self, own: &Token, told: &Value) -> Held {
        let subject = told["sub"].as_str().unwrap();
        let Some(who) = own.who else {
            let is_itself = subject == own.client || !own.parents.is_empty();
            hold!("I29", is_itself, "{own:?} is of {subject}");
            hold!(
                "I29",
                !self.subjects.contains_key(subject),
                "a person's name: {subject}"
            );
            return Ok(());
        };
        let sector = sector(own.client);
        let known = self
            .subjects
            .entry(subject.to_owned())
            .or_insert((who, sector));
        hold!(
            "I27",
            *known == (who, sector),
            "{subject} was {known:?} and is {who:?}"
        );
        let again = self
            .subjects
            .iter()
            .any(|(name, own)| *own == (who, sector) && name != subject);
        hold!("I27", !again, "{who:?} has another name: {subject}");
        Ok(())
    }

    /// I34: no token says that it was issued before one that was issued earlier.
    fn i34_time_moves_forward(&mut self, at: usize, told: &Value) -> Held {
        // A macaroon that was narrowed keeps the time of its root.
        let is_new = at + 1 == self.book.tokens.len() && self.book.tokens[at].parents.is_empty();
        if is_new {
            // By the right time, whichever node's clock it is.
            let issued = told["iat"].as_i64().unwrap() - self.minted / 1000;
            let (latest, now) = (self.latest, (self.book.now - self.offset()) / 1000);
            let is_between = (latest..=now).contains(&issued);
            hold!(
                "I34",
                is_between,
                "issued at {issued}, after {latest} and by {now}"
            );
            self.latest = issued;
        }
        Ok(())
    }

    /// I33: each change that was answered has one audit record, in the order in
    /// which they were answered, and nothing else has one.
    async fn i33_each_change_is_told_once(&mut self, step: Step) -> Held {
        if matches!(step.op, Op::Restore) {
            let is_it = |own: &Value| own["action"] == "store.restore";
            let is_told = self.saved.is_none() || self.records.iter().any(is_it);
            hold!("I33", is_told, "the restore is not told");
            return Ok(());
        }
        let all = self.list("/admin/v1/audit?limit=1000").await;
        let known = all.iter().filter(|own| self.known.contains(&place_of(own)));
        hold!(
            "I33",
            known.count() == self.records.len(),
            "a record is gone"
        );
        let new: Vec<Value> = all
            .into_iter()
            .filter(|own| !self.known.contains(&place_of(own)))
            .collect();
        // Nodes look after keys by themselves.
        let is_asked = |own: &&Value| !own["action"].as_str().unwrap().starts_with("key.");
        let mut left: Vec<&str> = new
            .iter()
            .filter(is_asked)
            .map(|own| own["action"].as_str().unwrap())
            .collect();
        for told in &self.told {
            let mut count = 0;
            while count < told.most
                && let Some(found) = left.iter().position(|own| *own == told.action)
            {
                left.remove(found);
                count += 1;
            }
            hold!("I33", count >= told.least, "{told:?} is not told: {new:?}");
        }
        hold!(
            "I33",
            left.is_empty(),
            "told besides {:?}: {new:?}",
            self.told
        );
        self.known.extend(new.iter().map(place_of));
        self.records.extend(new);
        Ok(())
    }
}

/// I15: a token is good at its API alone, so nobody else is told of it.
async fn i15_nobody_else_is_told(peer: &Peer, own: &Token) -> Held {
    let other = match own.resource {
        ORDERS => "files-api",
        _ => "orders-api",
    };
    let told = peer.introspect(other, &own.text).await;
    hold!(
        "I15",
        told == json!({ "active": false }),
        "{other} is told {told}"
    );
    Ok(())
}

/// I05: who a token is of never changes.
fn i05_a_token_is_of_one_client_and_subject(own: &Token, told: &Value) -> Held {
    let organization = own.organization.then_some("acme");
    hold!(
        "I05",
        told["client_id"] == own.client
            && told["aud"] == own.resource
            && told["organization"].as_str() == organization
            && told["iss"].is_string(),
        "{own:?} {told}"
    );
    // Whoever carries a token on stands in its chain: once for each time.
    let mut act = &told["act"];
    let mut depth = 0;
    while act.is_object() {
        hold!("I16", act["sub"] == "carrier", "{told}");
        act = &act["act"];
        depth += 1;
    }
    let expected = if own.form == Form::Macaroon {
        0
    } else {
        own.depth
    };
    hold!(
        "I16",
        depth == expected,
        "{depth} actors, not {expected}: {told}"
    );
    Ok(())
}

/// I06, I07: a token keeps its scopes and its end.
fn i06_scopes_and_ends_are_those_that_were_issued(own: &Token, told: &Value) -> Held {
    let permitted = scopes(told["scope"].as_str().unwrap());
    hold!("I06", permitted == own.scopes, "{own:?} {told}");
    hold!("I07", told["exp"] == own.expires, "{own:?} {told}");
    Ok(())
}
