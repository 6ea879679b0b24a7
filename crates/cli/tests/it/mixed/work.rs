//! Carries out what the load does, and judges what is answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::time::Instant;

use super::book::{Assertion, Code, Shown, Token, Work, count};
use super::{ASSERTION_LIVES, Mixed};
use crate::browser::{Answer, request, response};
use crate::configuration::VAULT;
use crate::kill::Family;
use crate::program::Site;

const SCOPE: &str = "openid offline_access read:vault";
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What is said of something while it surely lives, and no longer: a code lives
/// for a minute, a predecessor for 90 seconds, a token for ten minutes.
const CODE_LIVES: Duration = Duration::from_secs(50);
const GRACE_LASTS: Duration = Duration::from_secs(85);
const TOKEN_LIVES: Duration = Duration::from_secs(9 * 60);
/// How many tokens are asked about before they are taken back. Of later ones
/// one record may stand for a hundred, and hits those that nobody took back.
const ASKED_ALIVE: usize = 40;
/// How soon a node is asked again that does not know yet.
const PAUSE: Duration = Duration::from_millis(100);

impl Mixed {
    pub(super) async fn carry_out(&self, node: &Site, work: Work) {
        match work {
            Work::Renew(family, unsure) => self.renew(node, family, unsure).await,
            Work::Prove(assertion, shown) => self.prove(node, assertion, shown).await,
            Work::ProveAgain(assertion) => self.prove_again(node, assertion).await,
            Work::Authorize => self.authorize(node).await,
            Work::Redeem(code, shown) => self.redeem(node, code, shown).await,
            Work::RedeemAgain(code, family) => self.redeem_again(node, code, family).await,
            Work::Issue => self.issue(node).await,
            Work::AskAlive(token) => self.ask_alive(node, token).await,
            Work::TakeBack(token) => self.take_back(node, token).await,
            Work::AskAbout(token, since) => self.ask_about(node, token, since).await,
            Work::End(family) => self.end(node, family).await,
            Work::RenewEnded(family, by) => self.renew_ended(node, family, by).await,
            Work::Found(id, shown) => self.found(node, id, shown).await,
            Work::FindFounded(id) => self.find_founded(node, id).await,
            Work::Dissolve(id, shown) => self.dissolve(node, id, shown).await,
            Work::FindDissolved(id) => self.find_dissolved(node, id).await,
        }
    }

    async fn renew(&self, node: &Site, mut family: Family, unsure: Option<Instant>) {
        let since = unsure.unwrap_or_else(Instant::now);
        let form = family.renewal();
        let Some(answer) = self.hear(form_of(node, "shop", "/token", &form)).await else {
            return self.again(Work::Renew(family, Some(since)));
        };
        if answer.status != 200 && unsure.is_some() && since.elapsed() >= GRACE_LASTS {
            // It was renewed when nobody was told so, and asked again too late.
            assert_eq!(answer.refusal(), "invalid_grant");
            count(&self.counts.late);
            self.book().families -= 1;
            return;
        }
        family.heard(&answer);
        count(&self.counts.written);
        self.book().idle.push_back(family);
    }

    async fn prove(&self, node: &Site, assertion: Assertion, shown: Shown) {
        let Some(answer) = self.hear(proof(node, &assertion)).await else {
            return self.again(Work::Prove(assertion, Shown::Maybe));
        };
        match (answer.status, shown) {
            (200, _) => self.later(Work::ProveAgain(assertion)),
            // It was taken when nobody was told so.
            (401, Shown::Maybe) => assert_eq!(answer.refusal(), "invalid_client"),
            (status, _) => panic!("an assertion: {status} {}", answer.body),
        }
    }

    async fn prove_again(&self, node: &Site, assertion: Assertion) {
        let Some(answer) = self.hear(proof(node, &assertion)).await else {
            return self.again(Work::ProveAgain(assertion));
        };
        assert_eq!(answer.status, 401, "taken twice: {}", answer.body);
        assert_eq!(answer.refusal(), "invalid_client");
        // Past its end it would be refused in any case.
        let lives = Duration::from_secs(ASSERTION_LIVES.unsigned_abs());
        if assertion.made.elapsed() < lives {
            count(&self.counts.asked.assertions);
        }
    }

    async fn authorize(&self, node: &Site) {
        let sent_at = Instant::now();
        let asked = request(node, "shop", SCOPE).with("resource", VAULT);
        let sent = node.request(Method::GET, &asked.path());
        let sent = sent.header("cookie", &self.cookies);
        let Some(answer) = self.hear(sent).await else {
            return self.again(Work::Authorize);
        };
        assert_eq!(answer.status, 303, "{}", answer.body);
        let told = response(&answer);
        let code = Code {
            text: told.get("code").expect("a code").clone(),
            asked,
            issued: sent_at,
        };
        self.again(Work::Redeem(code, Shown::Never));
    }

    async fn redeem(&self, node: &Site, code: Code, shown: Shown) {
        let form = code.asked.redemption(&code.text);
        let Some(answer) = self.hear(form_of(node, "shop", "/token", &form)).await else {
            return self.again(Work::Redeem(code, Shown::Maybe));
        };
        let is_old = code.issued.elapsed() >= CODE_LIVES;
        match (answer.status, shown) {
            (200, _) => {}
            // It was taken when nobody was told so, and so was shown twice.
            (400, Shown::Maybe) => {
                assert_eq!(answer.refusal(), "invalid_grant");
                return;
            }
            // It waited for its turn longer than it lives.
            (400, Shown::Never) if is_old => {
                assert_eq!(answer.refusal(), "invalid_grant");
                count(&self.counts.late);
                return;
            }
            (status, _) => panic!("a code: {status} {}", answer.body),
        }
        let family = Family::of(answer.text("refresh_token"));
        let mut book = self.book();
        book.codes += 1;
        let (number, has_room) = (book.codes, book.families < super::FAMILIES.1);
        if has_room && number.is_multiple_of(3) {
            book.families += 1;
            book.idle.push_back(family);
            return;
        }
        drop(book);
        if number.is_multiple_of(2) {
            self.later(Work::RedeemAgain(code, family));
        } else {
            self.again(Work::End(family));
        }
    }

    async fn redeem_again(&self, node: &Site, code: Code, family: Family) {
        let form = code.asked.redemption(&code.text);
        let Some(answer) = self.hear(form_of(node, "shop", "/token", &form)).await else {
            return self.again(Work::RedeemAgain(code, family));
        };
        assert_eq!(answer.status, 400, "redeemed twice: {}", answer.body);
        assert_eq!(answer.refusal(), "invalid_grant");
        if code.issued.elapsed() < CODE_LIVES {
            count(&self.counts.asked.codes);
            self.later(Work::RenewEnded(family, "a code that was shown twice"));
        } else {
            // It had expired by then, which ends nothing.
            self.again(Work::End(family));
        }
    }

    async fn issue(&self, node: &Site) {
        let issued = Instant::now();
        let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
        let Some(answer) = self.hear(form_of(node, "job", "/token", &form)).await else {
            return self.again(Work::Issue);
        };
        assert_eq!(answer.status, 200, "{}", answer.body);
        let text = answer.text("access_token");
        let token = Token { text, issued };
        let mut book = self.book();
        book.tokens += 1;
        let next = match book.tokens {
            ..=ASKED_ALIVE => Work::AskAlive(token),
            _ => Work::TakeBack(token),
        };
        book.waiting.push_back(next);
    }

    async fn ask_alive(&self, node: &Site, token: Token) {
        let Some(is_active) = self.is_active(node, &token).await else {
            return self.again(Work::AskAlive(token));
        };
        let lives = token.issued.elapsed() < TOKEN_LIVES;
        assert!(is_active || !lives, "nobody took it back");
        count(&self.counts.asked.alive);
        self.again(Work::TakeBack(token));
    }

    async fn take_back(&self, node: &Site, token: Token) {
        let Some(answer) = self.revoke(node, "job", &token.text).await else {
            return self.again(Work::TakeBack(token));
        };
        assert!(matches!(answer.status, 200 | 204), "{}", answer.body);
        self.later(Work::AskAbout(token, Instant::now()));
    }

    /// Whether a token is good, as one node answers the API that it is for.
    async fn is_active(&self, node: &Site, token: &Token) -> Option<bool> {
        let form = [("token", &*token.text)];
        let sent = form_of(node, "orders-api", "/introspect", &form);
        let answer = self.hear(sent).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Some(answer.json()["active"] == true)
    }

    /// Until the others have to know, a node may still take it: it is asked
    /// until it does not. From then on it is dead everywhere.
    async fn ask_about(&self, node: &Site, token: Token, since: Instant) {
        loop {
            let known_for = since.elapsed();
            let Some(is_active) = self.is_active(node, &token).await else {
                return self.again(Work::AskAbout(token, since));
            };
            if !is_active {
                break;
            }
            let said = "a token came back, or never went, after";
            assert!(known_for < self.known_within, "{said} {known_for:?}");
            count(&self.counts.behind);
            tokio::time::sleep(PAUSE).await;
        }
        if token.issued.elapsed() < TOKEN_LIVES {
            count(&self.counts.asked.tokens);
        }
    }

    async fn end(&self, node: &Site, family: Family) {
        let Some(answer) = self.revoke(node, "shop", family.last()).await else {
            return self.again(Work::End(family));
        };
        assert!(matches!(answer.status, 200 | 204), "{}", answer.body);
        self.later(Work::RenewEnded(family, "a revocation"));
    }

    /// Takes a token back: one of three times its client does, else an
    /// administrator.
    async fn revoke(&self, node: &Site, client: &str, token: &str) -> Option<Answer> {
        let number = self.counts.written.load(Ordering::Relaxed);
        if number.is_multiple_of(3) {
            let form = [("token", token)];
            return self.hear(form_of(node, client, "/revoke", &form)).await;
        }
        let asked = self.administered(node, Method::POST, "revoke");
        self.hear(asked.json(&json!({ "token": token }))).await
    }

    /// A call of a node's administration.
    fn administered(&self, node: &Site, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/admin/v1/{path}", node.admin);
        node.http.request(method, url).bearer_auth(&self.token)
    }

    async fn found(&self, node: &Site, id: String, shown: Shown) {
        let asked = self.administered(node, Method::POST, "organizations");
        let asked = asked.json(&json!({ "id": id, "name": "Made" }));
        let Some(answer) = self.hear(asked).await else {
            return self.again(Work::Found(id, Shown::Maybe));
        };
        match (answer.status, shown) {
            // It was made when nobody was told so.
            (201, _) | (409, Shown::Maybe) => self.later(Work::FindFounded(id)),
            (status, _) => panic!("an organization: {status} {}", answer.body),
        }
    }

    async fn find_founded(&self, node: &Site, id: String) {
        let Some(answer) = self.find(node, &id).await else {
            return self.again(Work::FindFounded(id));
        };
        assert_eq!(answer.status, 200, "an organization went: {}", answer.body);
        count(&self.counts.asked.founded);
        self.again(Work::Dissolve(id, Shown::Never));
    }

    async fn dissolve(&self, node: &Site, id: String, shown: Shown) {
        let path = format!("organizations/{id}");
        let asked = self.administered(node, Method::DELETE, &path);
        let Some(answer) = self.hear(asked).await else {
            return self.again(Work::Dissolve(id, Shown::Maybe));
        };
        match (answer.status, shown) {
            // It was deleted when nobody was told so.
            (204, _) | (404, Shown::Maybe) => self.later(Work::FindDissolved(id)),
            (status, _) => panic!("a deletion: {status} {}", answer.body),
        }
    }

    async fn find_dissolved(&self, node: &Site, id: String) {
        let Some(answer) = self.find(node, &id).await else {
            return self.again(Work::FindDissolved(id));
        };
        assert_eq!(answer.status, 404, "one came back: {}", answer.body);
        count(&self.counts.asked.dissolved);
    }

    async fn find(&self, node: &Site, id: &str) -> Option<Answer> {
        let path = format!("organizations/{id}");
        self.hear(self.administered(node, Method::GET, &path)).await
    }

    async fn renew_ended(&self, node: &Site, family: Family, by: &'static str) {
        let form = family.renewal();
        let Some(answer) = self.hear(form_of(node, "shop", "/token", &form)).await else {
            return self.again(Work::RenewEnded(family, by));
        };
        let (status, body) = (answer.status, &answer.body);
        assert_ne!(status, 200, "a family came back after {by}");
        assert_eq!(status, 400, "a family that ended by {by}: {body}");
        assert_eq!(answer.refusal(), "invalid_grant");
        count(&self.counts.asked.families);
    }
}

fn form_of(node: &Site, client: &str, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
    let secret = symbolon_server::testing::Site::secret(node, client);
    let sent = node.request(Method::POST, path).form(form);
    sent.basic_auth(client, secret)
}

fn proof(node: &Site, assertion: &Assertion) -> RequestBuilder {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", BEARER),
        ("client_assertion", &*assertion.text),
    ];
    node.request(Method::POST, "/token").form(&form)
}
