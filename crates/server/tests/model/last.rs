//! What is checked at the end of a sequence, since no single operation shows it.

use std::collections::BTreeMap;

use symbolon_token::jose::{KeySet, Unverified};

use super::book::Form;
use super::proof::Holder;
use super::setting::PEOPLE;
use super::world::{Engine, Held, World, hold, place_of};

impl World {
    /// Checks what has to hold when all is done.
    pub(super) async fn last(&mut self) -> Held {
        for at in 0..self.book.families.len() {
            self.i28_a_family_renews_where_it_lives(at).await?;
        }
        self.look_plainly();
        for person in 0..PEOPLE.len() {
            self.look_at_grants(person).await?;
        }
        self.i17_what_lives_is_signed_by_a_published_key().await?;
        self.i18_a_key_has_one_name_and_one_use().await?;
        self.i25_the_database_holds_nothing_usable()?;
        self.i33_records_stand_in_their_order().await
    }

    /// I28: every family that lives renews, and no other does.
    async fn i28_a_family_renews_where_it_lives(&mut self, at: usize) -> Held {
        let node = at % self.peers.len();
        self.look_from(node)?;
        let own = self.book.families[at].clone();
        let Some(leaf) = own.leaves.last() else {
            return Ok(());
        };
        let form = [("grant_type", "refresh_token"), ("refresh_token", &**leaf)];
        let holder = Holder {
            key: own.key,
            who: Some(own.who),
        };
        let answer = self.show(node, own.client, &form, holder).await;
        let lives = self.book.family_lives(at) && self.book.is_on(own.client);
        hold!(
            "I28",
            (answer.status == 200) == lives && answer.status < 500,
            "family {at}, which lives: {lives}: {}",
            answer.body
        );
        Ok(())
    }

    /// I17: the published keys are those of every JWT that lives.
    async fn i17_what_lives_is_signed_by_a_published_key(&self) -> Held {
        for peer in &self.peers {
            let published = peer.get("/.well-known/jwks.json").await;
            let set = KeySet::parse(published.body.as_bytes()).unwrap();
            for (at, own) in self.book.tokens.iter().enumerate() {
                let is_jwt = own.kid.is_some() && own.form == Form::Access;
                if !is_jwt || !self.book.token_lives(at) {
                    continue;
                }
                let token = Unverified::parse(&own.text).unwrap();
                let algorithm = token.algorithm().unwrap();
                let key = set.candidates(token.claimed_kid(), algorithm).next();
                let is_good = key.is_some_and(|key| token.verify(key).is_ok());
                hold!("I17", is_good, "no published key for {own:?}");
            }
        }
        Ok(())
    }

    /// I18: a key's name is never another key's, and each has one algorithm.
    async fn i18_a_key_has_one_name_and_one_use(&mut self) -> Held {
        let published = self.peers[0].get("/.well-known/jwks.json").await.json();
        for key in published["keys"].as_array().unwrap() {
            let kid = key["kid"].as_str().unwrap().to_owned();
            let text = key.to_string();
            let known = self.keys.entry(kid).or_insert_with(|| text.clone());
            hold!("I18", *known == text, "{known} became {key}");
            hold!(
                "I18",
                key["alg"].is_string() && key["use"] == "sig",
                "{key}"
            );
        }
        Ok(())
    }

    /// I25: nothing that anybody could use stands in the database.
    fn i25_the_database_holds_nothing_usable(&self) -> Held {
        if self.engine != Engine::Sqlite {
            return Ok(());
        }
        let mut stored = Vec::new();
        for name in ["symbolon.db", "symbolon.db-wal"] {
            let file = std::fs::read(self.place.folder.join(name));
            stored.extend(file.unwrap_or_default());
        }
        let stored = String::from_utf8_lossy(&stored);
        let tokens = self.book.tokens.iter().map(|own| &own.text);
        let leaves = self.book.families.iter().flat_map(|own| &own.leaves);
        let codes = self.book.codes.iter().map(|own| &own.text);
        let cookies = self.cookies.iter().flat_map(|own| own.values());
        for text in tokens.chain(leaves).chain(codes).chain(cookies) {
            // Without the mark, which says what it is and is no secret.
            let secret = text.rsplit('_').next().unwrap_or(text);
            hold!(
                "I25",
                secret.len() < 20 || !stored.contains(secret),
                "stored: {text}"
            );
        }
        Ok(())
    }

    /// I33: of one subject, records of one process are linked in the order in
    /// which what they tell of was answered. Those of two stand in the order in
    /// which they were found.
    async fn i33_records_stand_in_their_order(&mut self) -> Held {
        let all = self.list("/admin/v1/audit?limit=1000").await;
        let links: BTreeMap<String, i64> = all
            .iter()
            .filter_map(|own| Some((place_of(own), own["link"].as_i64()?)))
            .collect();
        let mut latest: BTreeMap<(String, String), i64> = BTreeMap::new();
        for record in &self.records[self.unordered..] {
            let place = place_of(record);
            let Some(link) = links.get(&place) else {
                continue;
            };
            let process = place.split('.').nth(1).unwrap().to_owned();
            let whose = (record["subject"].to_string(), process);
            let before = latest.insert(whose, *link);
            let is_behind = before.is_none_or(|before| before < *link);
            hold!("I33", is_behind, "{link} after {before:?}: {record}");
        }
        Ok(())
    }
}
