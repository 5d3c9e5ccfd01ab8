//! A tuning record: measured choices as JSON text, with the network and the device that they were measured for.

use serde_json::{Value, json};

use super::measured::Shape;
use crate::error::Error;
use crate::tuning::Schedule;

/// The oldest choice first.
pub(crate) fn write_record(made_for: &str, choices: &[(Shape, Schedule)]) -> String {
    let choice = |&(Shape { steps, batch, rows }, schedule): &(Shape, Schedule)| json!({ "steps": steps, "batch": batch, "rows": rows, "schedule": schedule.name() });
    let choices: Vec<_> = choices.iter().map(choice).collect();
    json!({ "made_for": made_for, "choices": choices }).to_string()
}

/// The choices of a record that was made for the same network and device.
///
/// # Errors
///
/// [`Error::TuningRecord`] for every other text.
pub(crate) fn read_record(record: &str, made_for: &str) -> Result<Vec<(Shape, Schedule)>, Error> {
    let wrong = |reason: String| Error::TuningRecord { reason };
    let record: Value = serde_json::from_str(record).map_err(|error| wrong(error.to_string()))?;
    let its_own = record["made_for"].as_str().unwrap_or("nothing");
    if its_own != made_for {
        return Err(wrong(format!("it was made for {its_own}, and this is {made_for}")));
    }
    let choices = record["choices"].as_array().ok_or_else(|| wrong("it has no choices".to_owned()))?;
    let choices: Option<Vec<_>> = choices.iter().map(choice).collect();
    choices.ok_or_else(|| wrong("a choice lacks a size, or a schedule of this version".to_owned()))
}

/// `None` for sizes that no call has, and for what is not a choice.
fn choice(choice: &Value) -> Option<(Shape, Schedule)> {
    let number = |name: &str| choice[name].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    let schedule = Schedule::ALL.into_iter().find(|s| choice["schedule"].as_str() == Some(s.name()))?;
    let shape = Shape { steps: number("steps")?, batch: number("batch")?, rows: number("rows")? };
    Some((shape, schedule))
}

#[cfg(test)]
mod tests {
    use super::{Shape, read_record, write_record};
    use crate::error::Error;
    use crate::tuning::Schedule;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let shape = |steps| Shape { steps, batch: 3, rows: 2 * steps };
        let choices = [(shape(7), Schedule::Diagonal), (shape(2), Schedule::Step)];
        let record = write_record("a network", &choices);
        let first = r#"{"choices":[{"batch":3,"rows":14,"schedule":"diagonal","steps":7},"#;
        assert!(record.starts_with(first) && record.ends_with(r#"],"made_for":"a network"}"#), "{record}");
        assert_eq!(read_record(&record, "a network").unwrap(), choices);
    }

    #[test]
    fn what_is_wrong_with_a_record_is_named() {
        for (record, reason) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{}", "it was made for nothing, and this is a network"),
            (r#"{"made_for": "another"}"#, "it was made for another, and this is a network"),
            (r#"{"made_for": "a network"}"#, "it has no choices"),
            (
                r#"{"made_for": "a network", "choices": [{"steps": 0, "batch": 1, "rows": 1, "schedule": "step"}]}"#,
                "a choice lacks a size, or a schedule of this version",
            ),
        ] {
            let error = read_record(record, "a network").unwrap_err();
            assert!(matches!(&error, Error::TuningRecord { reason: said } if said == reason), "{error}");
        }
    }
}
