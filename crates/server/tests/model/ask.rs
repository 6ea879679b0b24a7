//! What people do: they sign in, agree, are sent on with a code, and leave.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_server::testing::{Answer, Browser, VERIFIER, challenge, redemption};
use symbolon_token::mark::{Kind, read_fixed};

use super::book::{Code, Family, Form, Grant, Session, scopes};
use super::issue::Fresh;
use super::op::{Key, Shown, Terms};
use super::proof::Holder;
use super::setting::{BROWSERS, PEOPLE, WANTS, Want};
use super::world::{Held, World, as_expected, hold, pick};

const MINUTE: i64 = 60_000;
pub(super) const DAY: i64 = 24 * 60 * MINUTE;
/// How old a sign-in may be that has to be young.
const YOUNG: i64 = 5 * MINUTE;
const IDLE: i64 = 14 * DAY;
const ABSOLUTE: i64 = 90 * DAY;

pub(super) fn wish(want: &Want) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut put = |name: &str, value: &str| pairs.insert(name.to_owned(), value.to_owned());
    put("response_type", "code");
    put("state", "the state");
    put("code_challenge", &challenge(VERIFIER));
    put("code_challenge_method", "S256");
    put("client_id", want.client);
    put("redirect_uri", want.redirect_uri);
    put("scope", want.scopes);
    put("resource", want.resource);
    if want.organization {
        put("organization", "acme");
    }
    pairs
}

/// The same on terms.
fn wish_on(want: &Want, terms: Terms) -> BTreeMap<String, String> {
    let mut pairs = wish(want);
    let mut put = |name: &str, value: &str| pairs.insert(name.to_owned(), value.to_owned());
    if matches!(terms, Terms::Silent | Terms::SilentYoung) {
        put("prompt", "none");
    }
    if matches!(terms, Terms::Young | Terms::SilentYoung) {
        put("max_age", &(YOUNG / 1000).to_string());
    }
    if terms == Terms::Stronger {
        let claims = r#"{"id_token":{"acr":{"essential":true,"values":["2"]}}}"#;
        put("claims", claims);
    }
    pairs
}

/// What a redirect to the client says; nothing where there is none.
fn said(answer: &Answer) -> BTreeMap<String, String> {
    let location = answer.header("location").map(url::Url::parse);
    let pairs = location.map(|url| url.unwrap().query_pairs().into_owned().collect());
    pairs.unwrap_or_default()
}

impl World {
    /// Somebody lets a client do something.
    pub(super) async fn ask(
        &mut self,
        node: usize,
        (browser, want): (u8, u8),
        terms: Terms,
    ) -> Held {
        let browser = usize::from(browser) % BROWSERS.len();
        let at = usize::from(want) % WANTS.len();
        let (person, want) = (BROWSERS[browser], &WANTS[at]);
        let own = self.book.people[person].clone();
        let may_come = own.is_there && own.is_enabled;
        let is_of_it = self.book.organization.is_on() && own.is_member;
        let before = self.session_before(browser);
        let is_good = may_come
            && self.book.is_on(want.client)
            && (!want.organization || is_of_it)
            && self.meets(terms, person, at, before);

        let cookies = self.cookies[browser].clone();

        let answer = self
            .go(node, browser, &wish_on(want, terms), may_come)
            .await;

        i20_a_sign_in_brings_another_secret(&cookies, &self.cookies[browser])?;

        let mut said = said(&answer);
        hold!(
            if terms == Terms::Any { "I11" } else { "I22" },
            said.contains_key("code") == is_good,
            "{person} asks for {want:?} on {terms:?} and is told {said:?} {}",
            answer.body
        );
        self.note_renewed(terms, before, may_come && self.book.is_on(want.client));
        let session = self.look_at_sessions(person, browser, before).await?;
        if let (Some(code), Some(session)) = (said.remove("code"), session) {
            let grant = self.agree(person, at).await?;
            self.book.codes.push(Code {
                text: code,
                who: self.book.who(person),
                want: at,
                grant,
                session,
                proved: self.book.sessions[session].proved,
                expires: self.book.now + MINUTE,
                is_spent: false,
                is_told: false,
                family: None,
                is_dead: false,
            });
        }
        Ok(())
    }

    /// I22: whether a sign-in is there that is enough, or one can be made.
    fn meets(&self, terms: Terms, person: usize, at: usize, before: Option<usize>) -> bool {
        let want = &WANTS[at];
        match terms {
            Terms::Any | Terms::Young => true,
            // Who asks for no sign-in cannot ask how strong it was.
            Terms::Stronger => !scopes(want.scopes).contains("openid"),
            Terms::Silent | Terms::SilentYoung => {
                let who = self.book.who(person);
                let grant = self.book.live_grant(who, want.client, want.organization);
                let is_agreed = grant
                    .is_some_and(|own| agreement(want).is_subset(&self.book.grants[own].agreed));
                let is_young =
                    terms == Terms::Silent || before.is_some_and(|own| self.is_young(own));
                // Whoever could be anybody is answered only where somebody looks.
                let is_known = want.client != "cli";
                is_known && is_agreed && before.is_some() && is_young
            }
        }
    }

    fn is_young(&self, session: usize) -> bool {
        self.book.now - self.book.sessions[session].proved <= YOUNG
    }

    /// Who was signed in for too long has signed in again.
    fn note_renewed(&mut self, terms: Terms, before: Option<usize>, was_asked: bool) {
        if let Some(session) = before
            && terms == Terms::Young
            && was_asked
            && !self.is_young(session)
        {
            self.book.sessions[session].proved = self.book.now;
            self.tells("session.reauthenticate");
        }
    }

    async fn go(
        &mut self,
        node: usize,
        browser: usize,
        wish: &BTreeMap<String, String>,
        may_come: bool,
    ) -> Answer {
        let mut own = Browser::new(&self.peers[node]);
        own.cookies.clone_from(&self.cookies[browser]);
        let answer = match may_come {
            true => own.grant(PEOPLE[BROWSERS[browser]], wish).await,
            // Wrong guesses are counted, so nobody makes one.
            false => own.authorize(wish).await,
        };
        self.cookies[browser] = own.cookies;
        answer
    }

    fn session_before(&self, browser: usize) -> Option<usize> {
        let all = 0..self.book.sessions.len();
        all.rev()
            .find(|at| self.book.sessions[*at].browser == browser && self.book.session_lives(*at))
    }

    /// The session of a browser that went idle, if nobody has ended it: whoever
    /// signs in again there takes it up.
    fn idle_before(&self, browser: usize) -> Option<usize> {
        let all = 0..self.book.sessions.len();
        let mut newest = all.rev();
        let newest = newest.find(|at| self.book.sessions[*at].browser == browser);
        newest.filter(|at| {
            let own = &self.book.sessions[*at];
            let is_idle = self.book.now >= own.idle_ends;
            !own.is_dead && is_idle && self.book.now < own.absolute_ends
        })
    }

    /// Which session a browser has now: the one that it had, which may have gone
    /// idle and be there still, or else a new one. No other has begun, and each that
    /// lives is listed.
    async fn look_at_sessions(
        &mut self,
        person: usize,
        browser: usize,
        before: Option<usize>,
    ) -> Held<Option<usize>> {
        if !self.book.people[person].is_there {
            return Ok(None);
        }
        let listed = self
            .list(&format!(
                "/admin/v1/sessions?limit=1000&user={}",
                PEOPLE[person]
            ))
            .await;
        let idle = self.idle_before(browser).filter(|_| before.is_none());
        let (mut new, mut taken_up) = (None, None);
        for item in &listed {
            let id = item["id"].as_str().unwrap();
            let ends = [instant(item, "idle_ends"), instant(item, "absolute_ends")];
            taken_up = taken_up.or(self.taken_up(idle, item));
            let known = self.book.sessions.iter_mut().find(|own| own.id == id);
            match known {
                Some(own) => {
                    hold!("I08", !own.is_dead, "an ended session is listed: {item}");
                    own.idle_ends = ends[0];
                    i21_a_sign_in_is_listed_as_it_was(own, item)?;
                }
                None => {
                    hold!(
                        "I20",
                        new.is_none() && before.is_none(),
                        "two sessions: {item}"
                    );
                    let who = self.book.who(person);
                    new = Some(self.book.sessions.len());
                    let own = Session {
                        id: id.to_owned(),
                        who,
                        browser,
                        proved: self.book.now,
                        idle_ends: ends[0],
                        absolute_ends: ends[1],
                        is_dead: false,
                    };
                    i21_a_sign_in_is_listed_as_it_was(&own, item)?;
                    self.book.sessions.push(own);
                    self.tells("session.open");
                }
            }
        }
        let is_idle_there = idle.is_some_and(|at| {
            let id = &self.book.sessions[at].id;
            listed.iter().any(|item| item["id"] == **id)
        });
        hold!(
            "I20",
            new.is_none() || !is_idle_there,
            "one beside an idle one"
        );
        let who = self.book.who(person);
        for (at, own) in self.book.sessions.iter().enumerate() {
            let is_listed = listed.iter().any(|item| item["id"] == *own.id);
            let has_to_be = own.who == who && self.book.session_lives(at);
            hold!(
                "I28",
                is_listed || !has_to_be,
                "a live session is not listed: {own:?}"
            );
        }
        Ok(before.or(taken_up).or(new))
    }

    /// The session that went idle, where the list shows that somebody signed in.
    fn taken_up(&mut self, idle: Option<usize>, item: &Value) -> Option<usize> {
        let at = idle.filter(|at| item["id"] == *self.book.sessions[*at].id)?;
        if instant(item, "authenticated") != self.book.now {
            return None;
        }
        self.book.sessions[at].proved = self.book.now;
        self.tells("session.reauthenticate");
        Some(at)
    }

    /// The grant that covers what somebody has just agreed to.
    async fn agree(&mut self, person: usize, want: usize) -> Held<usize> {
        let (client, organization) = (WANTS[want].client, WANTS[want].organization);
        let who = self.book.who(person);
        let found = self.book.live_grant(who, client, organization);
        let grant = found.unwrap_or_else(|| {
            self.book.grants.push(Grant {
                id: String::new(),
                who,
                client,
                organization,
                agreed: BTreeSet::new(),
                is_dead: false,
            });
            self.book.grants.len() - 1
        });
        let mut asked = agreement(&WANTS[want]);
        let agreed = &mut self.book.grants[grant].agreed;
        if !asked.is_subset(agreed) {
            agreed.append(&mut asked);
            self.tells("consent.grant");
        }
        self.look_at_grants(person).await?;
        Ok(grant)
    }

    /// The grants of a person are those of the book, no more and no fewer.
    pub(super) async fn look_at_grants(&mut self, person: usize) -> Held {
        if !self.book.people[person].is_there {
            return Ok(());
        }
        let listed = self
            .list(&format!(
                "/admin/v1/grants?limit=1000&user={}",
                PEOPLE[person]
            ))
            .await;
        let who = self.book.who(person);
        let live = |own: &&mut Grant| own.who == who && !own.is_dead;
        let count = self.book.grants.iter_mut().filter(live).count();
        hold!(
            "I28",
            listed.len() == count,
            "{count} live grants in the book of {who:?}, and listed are {listed:?}"
        );
        for item in &listed {
            let id = item["id"].as_str().unwrap();
            let is_it = |own: &&mut Grant| {
                own.client == item["client"] && own.organization == item["organization"].is_string()
            };
            let own = self.book.grants.iter_mut().filter(live).find(is_it);
            hold!("I28", own.is_some(), "a grant of nobody: {item}");
            let own = own.unwrap();
            hold!(
                "I28",
                own.id.is_empty() || own.id == id,
                "{own:?} became {item}"
            );
            id.clone_into(&mut own.id);
        }
        Ok(())
    }

    /// A client shows a code.
    pub(super) async fn redeem(&mut self, node: usize, code: u8, shown: Shown, key: Key) -> Held {
        // Of the latest ones, or most were of long ago.
        let count = self.book.codes.len();
        let Some(back) = pick(code, count.min(4)) else {
            return Ok(());
        };
        let at = count - 1 - back;
        let code = self.book.codes[at].clone();
        let want = &WANTS[code.want];
        let mut form = redemption(&code.text, want.redirect_uri);
        if shown == Shown::WithoutVerifier {
            form.retain(|(name, _)| *name != "code_verifier");
        }
        let client = match shown {
            Shown::ByOther => "spare",
            _ => want.client,
        };
        let reaches = shown == Shown::Whole
            && self.book.is_on(client)
            && self.book.now < code.expires
            && self.book.code_stands(at);
        let is_over = self.book.sessions[code.session].is_dead;

        let holder = Holder {
            key: key.after(None),
            who: Some(code.who),
        };

        let answer = self.show(node, client, &form, holder).await;

        as_expected("I04", &answer, reaches && !code.is_spent && !is_over)?;
        if answer.status == 200 {
            return self.open_family(at, &answer, holder.key);
        }
        // What ends with its session is refused before anything is written.
        let ends_with_it = is_over && ends_with_session(want);
        if !reaches || ends_with_it {
            return Ok(());
        }
        if code.is_spent && !code.is_told {
            self.book.codes[at].is_told = true;
            self.tells("code.reuse");
            if let Some(family) = code.family {
                self.book.end_family(family);
            }
            self.book.codes[at].is_dead = true;
        }
        self.book.codes[at].is_spent = true;
        Ok(())
    }

    fn open_family(&mut self, at: usize, answer: &Answer, key: Option<usize>) -> Held {
        let (code, now) = (self.book.codes[at].clone(), self.book.now);
        let want = &WANTS[code.want];
        let granted = scopes(want.scopes);
        let is_due = granted.contains("offline_access")
            || !granted.contains("openid")
            || want.client == "cli";
        let refresh = answer
            .json()
            .get("refresh_token")
            .map(|own| own.as_str().unwrap().to_owned());
        hold!(
            "I28",
            refresh.is_some() == is_due,
            "{want:?}: {}",
            answer.body
        );
        let family = self.book.families.len();
        self.book.families.push(Family {
            who: code.who,
            want: code.want,
            client: want.client,
            organization: want.organization,
            grant: code.grant,
            session: ends_with_session(want).then_some(code.session),
            proved: code.proved,
            key,
            leaves: refresh.into_iter().collect(),
            rotated: now,
            idle_ends: now + IDLE,
            absolute_ends: now + ABSOLUTE,
            is_dead: false,
        });
        self.book.codes[at].family = Some(family);
        self.book.codes[at].is_spent = true;
        self.note(Fresh {
            answer,
            form: form_of(want),
            client: want.client,
            who: Some(code.who),
            organization: want.organization,
            resource: want.resource,
            scopes: granted,
            ends: now + ABSOLUTE,
            family: Some(family),
            key,
            proved: Some(code.proved),
            parents: Vec::new(),
        })
    }

    /// Somebody signs out.
    pub(super) async fn log_out(&mut self, node: usize, browser: u8) -> Held {
        let browser = usize::from(browser) % BROWSERS.len();
        let before = self.session_before(browser);
        let mut own = Browser::new(&self.peers[node]);
        own.cookies.clone_from(&self.cookies[browser]);
        let page = own.get("/logout").await;
        let asks = page.body.contains("logout-confirm");
        if asks {
            own.submit("/logout", &page, &[("confirm", "yes")]).await;
        }
        self.cookies[browser] = own.cookies;
        // One that went idle can be ended for as long as it is there.
        let all = 0..self.book.sessions.len();
        let newest = all
            .rev()
            .find(|at| self.book.sessions[*at].browser == browser);
        let idle = newest.filter(|at| !self.book.sessions[*at].is_dead);
        let ended = before.or(idle.filter(|_| asks));
        hold!("I08", asks == ended.is_some(), "{before:?}: {}", page.body);
        if let Some(session) = ended {
            self.book.end_session(session);
            self.tells("session.end");
        }
        Ok(())
    }
}

/// What somebody agrees to, by where it is good.
fn agreement(want: &Want) -> BTreeSet<(&'static str, String)> {
    let place = |scope: &str| match scope.contains(':') {
        true => want.resource,
        false => "",
    };
    let all = scopes(want.scopes).into_iter();
    all.map(|scope| (place(&scope), scope)).collect()
}

/// What a browser holds of a session: its id, and the secret.
fn held(cookies: &BTreeMap<String, String>) -> Option<([u8; 16], [u8; 24])> {
    let mut all = cookies.iter();
    let (_, text) = all.find(|(name, _)| name.ends_with("session"))?;
    let bytes: [u8; 44] = read_fixed(Kind::SessionCookie, text)?;
    Some((bytes[..16].try_into().ok()?, bytes[16..40].try_into().ok()?))
}

/// I21: a session says when somebody proved who they are, and how.
fn i21_a_sign_in_is_listed_as_it_was(own: &Session, item: &Value) -> Held {
    let proved = instant(item, "authenticated");
    hold!("I21", proved == own.proved, "{own:?} is listed as {item}");
    let how = (&item["acr"], &item["amr"]);
    hold!("I21", how == (&json!("1"), &json!(["pwd"])), "{item}");
    Ok(())
}

/// I20: a new session has nothing of what the browser held before.
fn i20_a_sign_in_brings_another_secret(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Held {
    if let (Some(before), Some(after)) = (held(before), held(after)) {
        let is_same = before.1 == after.1;
        hold!(
            "I20",
            before.0 == after.0 || !is_same,
            "the secret was kept at sign-in"
        );
    }
    Ok(())
}

pub(super) fn ends_with_session(want: &Want) -> bool {
    let granted = scopes(want.scopes);
    granted.contains("openid") && !granted.contains("offline_access")
}

pub(super) fn form_of(want: &Want) -> Form {
    match want.resource {
        super::setting::FILES => Form::Macaroon,
        _ => Form::Access,
    }
}

fn instant(item: &Value, name: &str) -> i64 {
    let text = item[name].as_str().unwrap();
    text.parse::<Timestamp>().unwrap().millis()
}
