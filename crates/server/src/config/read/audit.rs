//! `[audit]`.

use symbolon_protocol::Lifetime;

use super::super::AuditConfig;
use super::super::document::Table;
use super::super::finding::Finding;
use super::super::schema::AUDIT;
use super::{Loading, invalid};

const DAY: u32 = 24 * 60 * 60;
/// Less than this is not worth a trail: what is found out is often found later.
const LEAST: Lifetime = Lifetime::seconds(7 * DAY);
/// What break-ins are found within, mostly.
const WISE: Lifetime = Lifetime::seconds(90 * DAY);

impl Loading<'_> {
    pub(super) fn audit(&mut self, root: &Table) -> AuditConfig {
        let mut audit = AuditConfig::default();
        let Some(table) = self.section(root, "audit", &AUDIT) else {
            return audit;
        };
        if let Some(given) = self.value::<Lifetime>(table, &AUDIT, "retention") {
            audit.retention = given;
        }
        let at = table.place("retention");
        match audit.retention {
            forever if forever.as_seconds() == 0 => {}
            short if short < LEAST => {
                let why = "it is at least `7d`, or `0s` to keep all for ever";
                self.add(invalid(&AUDIT, "retention", at, why));
            }
            short if short < WISE => self.add(
                Finding::warning(
                    "audit.retention.short",
                    at,
                    format!("`retention` is {short}"),
                )
                .because(
                    "much of what goes wrong is found after months, and then nobody can look it up",
                )
                .repair("write `retention = \"400d\"`, or at least `\"90d\"`"),
            ),
            _ => {}
        }
        audit
    }
}
