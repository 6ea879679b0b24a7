//! Figures: what was measured, against which floor, and whether it is enough.

use serde_json::{Value, json};

/// What a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At least this share of the floor: for what should be large.
    AtLeast(f64),
    /// At most this many times the floor: for what should be small.
    AtMostTimes(f64),
    /// At most this, whatever the floor: for what should be small.
    AtMost(f64),
    /// Nothing was promised; it is shown to be seen.
    None,
}

/// One line of the table.
pub(crate) struct Figure {
    what: String,
    unit: &'static str,
    floor: Vec<f64>,
    ours: Vec<f64>,
    bound: Bound,
    note: String,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, bound: Bound) -> Self {
        Self {
            what: what.into(),
            unit,
            floor: Vec::new(),
            ours: Vec::new(),
            bound,
            note: String::new(),
        }
    }

    /// What each round gave, on the floor and for ours.
    pub(crate) fn rounds(mut self, floor: Vec<f64>, ours: Vec<f64>) -> Self {
        (self.floor, self.ours) = (floor, ours);
        self
    }

    pub(crate) fn note(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ours)? / median(&self.floor)?)
    }

    /// Whether it is enough; what cannot be told is not.
    pub(crate) fn holds(&self) -> bool {
        let (ratio, ours) = (self.ratio(), median(&self.ours));
        match self.bound {
            Bound::AtLeast(share) => ratio.is_some_and(|ratio| ratio >= share),
            Bound::AtMostTimes(times) => ratio.is_some_and(|ratio| ratio <= times),
            Bound::AtMost(most) => ours.is_some_and(|ours| ours <= most),
            Bound::None => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.bound {
            Bound::None => "",
            _ if self.holds() => "holds",
            _ => "MISSED",
        }
    }

    fn cells(&self) -> [String; 7] {
        let value = |all: &[f64]| match median(all) {
            Some(value) => format!("{} {}", shown(value), self.unit),
            None => "-".to_owned(),
        };
        [
            self.what.clone(),
            value(&self.floor),
            value(&self.ours),
            self.ratio()
                .map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            match self.bound {
                Bound::AtLeast(share) => format!("≥ {share:.2}"),
                Bound::AtMostTimes(times) => format!("≤ {times:.2}"),
                Bound::AtMost(most) => format!("≤ {most:.0} {}", self.unit),
                Bound::None => String::new(),
            },
            self.verdict().to_owned(),
            self.note.clone(),
        ]
    }

    fn json(&self) -> Value {
        let bound = match self.bound {
            Bound::AtLeast(share) => json!({ "ratio_at_least": share }),
            Bound::AtMostTimes(times) => json!({ "ratio_at_most": times }),
            Bound::AtMost(most) => json!({ "at_most": most }),
            Bound::None => Value::Null,
        };
        json!({
            "what": self.what,
            "unit": self.unit,
            "floor": median(&self.floor),
            "ours": median(&self.ours),
            "ratio": self.ratio(),
            "bound": bound,
            "holds": self.holds(),
            "floor_rounds": self.floor,
            "ours_rounds": self.ours,
            "note": self.note,
        })
    }
}

/// All figures as one table in Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let head = ["what", "floor", "ours", "ratio", "bound", "verdict", "note"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(figures.iter().map(Figure::cells));
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(widths) {
            let room = width - cell.chars().count();
            out.push_str(&format!("| {cell}{} ", " ".repeat(room)));
        }
        out.push_str("|\n");
    }
    out
}

/// All figures with every round of each.
pub(crate) fn document(figures: &[Figure]) -> Value {
    figures.iter().map(Figure::json).collect()
}

pub(crate) fn median(all: &[f64]) -> Option<f64> {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

fn shown(value: f64) -> String {
    match value {
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(bound: Bound) -> Figure {
        Figure::new("it", "/s", bound).rounds(vec![90.0, 100.0, 110.0], vec![70.0, 1.0, 75.0])
    }

    #[test]
    fn one_odd_round_does_not_move_the_ratio_far() {
        assert_eq!(figure(Bound::None).ratio(), Some(0.7));
    }

    #[test]
    fn bounds_are_kept_or_missed() {
        assert!(figure(Bound::AtLeast(0.7)).holds());
        assert!(!figure(Bound::AtLeast(0.71)).holds());
        assert!(figure(Bound::AtMostTimes(0.7)).holds());
        assert!(!figure(Bound::AtMost(69.0)).holds());
    }

    #[test]
    fn a_bound_without_a_measurement_is_missed() {
        assert!(!Figure::new("it", "/s", Bound::AtLeast(0.5)).holds());
        assert!(!Figure::new("it", "ms", Bound::AtMost(5.0)).holds());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
