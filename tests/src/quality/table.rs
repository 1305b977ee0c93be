use std::fmt::{self, Display};

use serde_json::{Value, json};

use super::{Floors, Measure, Measured};

/// What was measured beside what should be reached and what must be.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Row>,
    has_floors: bool,
}

#[derive(Clone, Debug)]
struct Row {
    measure: Measure,
    /// `None` where it was left out.
    measured: Option<Measured>,
    floor: Option<f64>,
}

impl Row {
    fn reached(&self) -> Option<bool> {
        self.measured.as_ref().map(|measured| self.measure.reaches(measured.value, self.measure.bar()))
    }

    /// What must be reached and was left out is not reached.
    fn holds(&self) -> bool {
        self.floor.is_none_or(|floor| {
            self.measured.as_ref().is_some_and(|measured| self.measure.reaches(measured.value, floor))
        })
    }
}

impl Table {
    /// All measures, in their order.
    pub fn new(measured: &[Measured], floors: &Floors) -> Self {
        let row = |measure| Row {
            measure,
            measured: measured.iter().find(|measured| measured.measure == measure).cloned(),
            floor: floors.of(measure),
        };
        Self { rows: Measure::ALL.into_iter().map(row).collect(), has_floors: !floors.is_empty() }
    }

    /// Whether all floors hold.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "measure": row.measure,
                "what": row.measure.title(),
                "value": row.measured.as_ref().map(|measured| measured.value),
                "note": row.measured.as_ref().map(|measured| &measured.note),
                "bar": row.measure.bar(),
                "less_is_better": row.measure.less_is_better(),
                "reached": row.reached(),
                "floor": row.floor,
                "holds": row.holds(),
            })
        };
        json!({"rows": self.rows.iter().map(row).collect::<Vec<_>>(), "holds": self.holds()})
    }
}

/// For people.
impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:42}{:>9}{:>11}  {:8}", "what", "value", "bar", "reached")?;
        writeln!(f, "{}", if self.has_floors { "     floor" } else { "" })?;
        for row in &self.rows {
            let sign = if row.measure.less_is_better() { "<=" } else { ">=" };
            let value =
                row.measured.as_ref().map_or("-".to_owned(), |measured| number(row.measure, measured.value));
            let bar = format!("{sign} {}", number(row.measure, row.measure.bar()));
            let reached = row.reached().map_or("left out", |reached| if reached { "yes" } else { "no" });
            write!(f, "{:42}{value:>9}{bar:>11}  {reached:8}", row.measure.title())?;
            if self.has_floors {
                let floor =
                    row.floor.map_or(String::new(), |floor| format!("{sign} {}", number(row.measure, floor)));
                write!(f, "{floor:>10}{}", if row.holds() { "" } else { "  FAILS" })?;
            }
            if let Some(measured) = &row.measured {
                write!(f, "  {}", measured.note)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn number(measure: Measure, value: f64) -> String {
    match measure {
        Measure::FilmPeakMemoryMb => format!("{value:.0}"),
        Measure::FilmFramesPerSecond => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Floors, Measure, Measured, Table};

    fn table(value: f64, memory_mb: f64, floors: &[(Measure, f64)]) -> Table {
        let measured = [
            Measured::new(Measure::ObjectDetectionF1, value, "a note".to_owned()),
            Measured::new(Measure::FilmPeakMemoryMb, memory_mb, String::new()),
        ];
        Table::new(&measured, &floors.iter().copied().collect::<Floors>())
    }

    #[test]
    fn a_bar_is_only_shown_and_a_floor_must_hold() {
        let below_bar = table(0.8, 300.0, &[(Measure::ObjectDetectionF1, 0.7)]);
        assert!(below_bar.holds());
        let text = below_bar.to_string();
        assert!(text.contains("0.800") && text.contains(">= 0.900") && text.contains("no"), "{text}");
        assert!(!table(0.69, 300.0, &[(Measure::ObjectDetectionF1, 0.7)]).holds());
    }

    #[test]
    fn memory_must_stay_below_its_floor() {
        assert!(table(1.0, 400.0, &[(Measure::FilmPeakMemoryMb, 400.0)]).holds());
        assert!(!table(1.0, 400.1, &[(Measure::FilmPeakMemoryMb, 400.0)]).holds());
    }

    #[test]
    fn what_must_be_reached_cannot_be_left_out() {
        let table = table(1.0, 100.0, &[(Measure::TokensEqual, 0.0)]);
        assert!(!table.holds());
        let line = table.to_string().lines().find(|line| line.contains("transformers")).unwrap().to_owned();
        assert!(line.contains("left out") && line.contains("FAILS"), "{line}");
    }

    #[test]
    fn a_number_that_is_none_reaches_nothing() {
        assert!(!table(f64::NAN, 100.0, &[(Measure::ObjectDetectionF1, 0.0)]).holds());
    }

    #[test]
    fn json_has_a_row_for_every_measure() {
        let json = table(0.95, 300.0, &[]).json();
        assert_eq!(json["rows"].as_array().unwrap().len(), Measure::ALL.len());
        assert_eq!(json["rows"][0]["measure"], "object-detection-f1");
        assert_eq!((&json["rows"][0]["reached"], &json["rows"][1]["value"]), (&true.into(), &().into()));
    }
}
