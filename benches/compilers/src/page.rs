//! The record as markdown.

use std::collections::BTreeSet;
use std::fmt::{Error, Write};

use crate::figures::Figures;
use crate::gpu::{Gpu, Vendor};
use crate::limits::{CODE, ELEMENTS_IN_FLIGHT, Exceeded};
use crate::record::{Outcome, Record, Row};

pub fn markdown(record: &Record) -> Result<String, Error> {
    let mut page = String::from("# The kernels through compilers of GPUs\n\n");
    writeln!(page, "Made by `benches/compilers/run` on {}, commit {}.", record.date, record.commit)?;
    writeln!(page, "[benches/compilers/README.md](../compilers/README.md) says what the columns count.\n")?;
    headline(&mut page, record)?;
    head(&mut page, &["GPU", "devices", "adapter", "driver"])?;
    for (gpu, about) in &record.gpus {
        writeln!(page, "| {} | {} | {} | {} |", gpu.name, gpu.devices, about.adapter, about.driver)?;
    }
    worst(&mut page, record)?;
    exceeded(&mut page, record)?;
    failures(&mut page, record)?;
    by_kernel(&mut page, record)?;
    for stem in stems(record) {
        pipelines(&mut page, record, stem)?;
    }
    Ok(page)
}

/// A sentence to quote.
fn headline(page: &mut String, record: &Record) -> Result<(), Error> {
    let all = || record.rows.iter();
    let count = |which: fn(Exceeded) -> bool| all().filter(|row| which(Exceeded::of(row))).count();
    let code = all().filter_map(|row| row.figures()?.code).max().unwrap_or(0);
    let registers = all().filter_map(|row| row.figures()?.registers).max().unwrap_or(0);
    let in_flight = all().filter(|row| row.vendor == Vendor::Amd && row.one_row);
    let elements =
        in_flight.filter_map(|row| Some(row.figures()?.in_flight?.bytes / row.element_bytes)).min();
    write!(
        page,
        "Of {} pipelines on {} GPUs, {} failed to compile, {} spill or have scratch memory, and {} have more than \
         {} KiB of code (the largest: {:.0} KiB). None has more than {registers} registers.",
        all().count(),
        record.gpus.len(),
        count(|it| it.failed),
        count(|it| it.spills),
        count(|it| it.code),
        CODE >> 10,
        f64::from(code) / 1024.0,
    )?;
    if let Some(elements) = elements {
        write!(
            page,
            " At one row on AMD a lane has at least {elements} elements of a matrix in flight; {} pipelines have \
             fewer than {ELEMENTS_IN_FLIGHT}.",
            count(|it| it.in_flight),
        )?;
    }
    writeln!(page, "\n")
}

/// A header of these cells, and its rule.
fn head(page: &mut String, cells: &[&str]) -> Result<(), Error> {
    writeln!(page, "| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()))
}

fn stems(record: &Record) -> BTreeSet<&str> {
    record.rows.iter().map(Row::stem).collect()
}

/// A figure of a pipeline that may be worst.
struct Measure {
    name: &'static str,
    of: fn(&Row, &Figures) -> Option<u32>,
    /// Whether less is worse.
    least: bool,
}

const MEASURES: [Measure; 6] = [
    Measure { name: "most registers", of: |_, figures| figures.registers, least: false },
    Measure {
        name: "most spills",
        of: |_, figures| figures.spills.filter(|&spills| spills > 0),
        least: false,
    },
    Measure {
        name: "most scratch",
        of: |_, figures| figures.scratch.filter(|&bytes| bytes > 0),
        least: false,
    },
    Measure { name: "largest code", of: |_, figures| figures.code, least: false },
    Measure { name: "fewest waves", of: |_, figures| figures.waves, least: true },
    Measure { name: "least in flight at one row", of: bytes_at_one_row, least: true },
];

fn bytes_at_one_row(row: &Row, figures: &Figures) -> Option<u32> {
    figures.in_flight.filter(|_| row.one_row).map(|in_flight| in_flight.bytes)
}

impl Measure {
    /// The worst of these rows, and the first that has it.
    fn worst<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Option<(u32, &'a Row)> {
        let values = rows.filter_map(|row| Some(((self.of)(row, row.figures()?)?, row)));
        let rank = |value: u32| if self.least { value } else { u32::MAX - value };
        values.min_by_key(|&(value, _)| rank(value))
    }
}

fn on<'a>(record: &'a Record, gpu: &Gpu) -> impl Iterator<Item = &'a Row> + Clone {
    let name = gpu.name;
    record.rows.iter().filter(move |row| row.gpu == name)
}

fn worst(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## The worst figures\n")?;
    head(page, &[&["GPU", "pipelines"], &MEASURES.map(|measure| measure.name)[..]].concat())?;
    for (gpu, _) in &record.gpus {
        let compiled = on(record, gpu).filter(|row| row.figures().is_some()).count();
        write!(page, "| {} | {compiled} |", gpu.name)?;
        for measure in &MEASURES {
            match measure.worst(on(record, gpu)) {
                Some((value, row)) => write!(page, " {value}: `{}` |", row.kernel)?,
                None => write!(page, " – |")?,
            }
        }
        writeln!(page)?;
    }
    Ok(())
}

fn exceeded(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## Pipelines beyond a limit\n")?;
    let code = format!("more than {CODE} bytes of code");
    let in_flight = format!("at one row, fewer than {ELEMENTS_IN_FLIGHT} elements in flight (AMD)");
    head(page, &["GPU", "failed", "spills or scratch", &code, &in_flight])?;
    for (gpu, _) in &record.gpus {
        let count =
            |which: fn(Exceeded) -> bool| on(record, gpu).filter(|row| which(Exceeded::of(row))).count();
        writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            gpu.name,
            count(|it| it.failed),
            count(|it| it.spills),
            count(|it| it.code),
            count(|it| it.in_flight),
        )?;
    }
    writeln!(page, "\nIn the tables below such figures are **bold**.")
}

fn failures(page: &mut String, record: &Record) -> Result<(), Error> {
    let failed = record.rows.iter().filter_map(|row| match &row.outcome {
        Outcome::Failed(error) => Some((row, error)),
        Outcome::Compiled { .. } => None,
    });
    for (number, (row, error)) in failed.enumerate() {
        if number == 0 {
            writeln!(page, "\n## Failures\n")?;
        }
        writeln!(page, "- {} `{}`: {}", row.gpu, row.kernel, error.lines().collect::<Vec<_>>().join(" "))?;
    }
    Ok(())
}

fn by_kernel(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## The worst figures of each kernel\n")?;
    head(page, &[&["kernel", "GPU", "pipelines"], &MEASURES.map(|measure| measure.name)[..]].concat())?;
    for stem in stems(record) {
        for (gpu, _) in &record.gpus {
            let rows = on(record, gpu).filter(|row| row.stem() == stem);
            write!(page, "| `{stem}` | {} | {} |", gpu.name, rows.clone().count())?;
            for measure in &MEASURES {
                let value =
                    measure.worst(rows.clone()).map_or("–".to_owned(), |(value, _)| value.to_string());
                write!(page, " {value} |")?;
            }
            writeln!(page)?;
        }
    }
    Ok(())
}

/// Every pipeline of a kernel's file, a table for each GPU.
fn pipelines(page: &mut String, record: &Record, stem: &str) -> Result<(), Error> {
    for (gpu, _) in &record.gpus {
        writeln!(page, "\n## `{stem}` on {}\n", gpu.name)?;
        head(
            page,
            &[
                "pipeline",
                "lanes",
                "registers",
                "spills",
                "scratch",
                "workgroup",
                "code",
                "instructions",
                "waves",
                "cycles",
                "loads in flight",
                "bytes in flight",
            ],
        )?;
        for row in on(record, gpu).filter(|row| row.stem() == stem) {
            let Some(figures) = row.figures() else {
                writeln!(page, "| `{}` | **failed** |{}", row.kernel, " |".repeat(10))?;
                continue;
            };
            let exceeded = Exceeded::of(row);
            let in_flight = figures.in_flight;
            let cells = [
                (figures.lanes, false),
                (figures.registers, false),
                (figures.spills, exceeded.spills),
                (figures.scratch, exceeded.spills),
                (figures.workgroup, false),
                (figures.code, exceeded.code),
                (figures.instructions, false),
                (figures.waves, false),
                (figures.cycles, false),
                (in_flight.map(|it| it.loads), false),
                (in_flight.map(|it| it.bytes), exceeded.in_flight),
            ];
            let cells = cells.map(|(value, bad)| match (value, bad) {
                (None, _) => String::new(),
                (Some(value), false) => value.to_string(),
                (Some(value), true) => format!("**{value}**"),
            });
            writeln!(page, "| `{}` | {} |", row.kernel, cells.join(" | "))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GPUS;
    use crate::vulkan::About;

    fn record(rows: Vec<Row>) -> Record {
        let about = About { adapter: "adapter".to_owned(), driver: "driver 25".to_owned() };
        let (date, commit) = ("2026-01-01 00:00 UTC".to_owned(), "0123456789ab".to_owned());
        Record { date, commit, gpus: vec![(GPUS[0], about)], kernels: Vec::new(), rows }
    }

    fn row(kernel: &str, outcome: Outcome) -> Row {
        let (gpu, vendor) = (GPUS[0].name, GPUS[0].vendor);
        Row { gpu, vendor, kernel: kernel.to_owned(), one_row: false, element_bytes: 16, outcome }
    }

    fn compiled(registers: u32, code: u32, waves: u32) -> Outcome {
        let (registers, code, waves) = (Some(registers), Some(code), Some(waves));
        Outcome::Compiled {
            figures: Figures { registers, code, waves, ..Figures::default() },
            statistics: vec![],
        }
    }

    #[test]
    fn the_worst_come_first_and_failures_are_named() {
        let record = record(vec![
            row("step-r1", compiled(64, 40_000, 16)),
            row("step-r4", compiled(128, 900, 8)),
            row("step-r8", Outcome::Failed("crashed\nat once".to_owned())),
        ]);
        let page = markdown(&record).expect("a String takes everything");
        for line in [
            "Of 3 pipelines on 1 GPUs, 1 failed to compile, 0 spill or have scratch memory, and 1 have more than 32 KiB of \
             code (the largest: 39 KiB). None has more than 128 registers.",
            "| navi21 | AMD RDNA 2: Radeon RX 6800, 6900 | adapter | driver 25 |",
            "| navi21 | 2 | 128: `step-r4` | – | – | 40000: `step-r1` | 8: `step-r4` | – |",
            "| navi21 | 1 | 0 | 1 | 0 |",
            "- navi21 `step-r8`: crashed at once",
            "| `step` | navi21 | 3 | 128 | – | – | 40000 | 8 | – |",
            "| `step-r1` |  | 64 |  |  |  | **40000** |  | 16 |  |  |  |",
            "| `step-r8` | **failed** | | | | | | | | | | |",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\nis not in\n{page}");
        }
    }

    #[test]
    fn json_has_a_pipeline_a_line() {
        let record = record(vec![
            row("step-r1", compiled(64, 4, 16)),
            row("step-r8", Outcome::Failed("crashed".to_owned())),
        ]);
        let json = record.json().expect("plain data");
        let value: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
        assert_eq!(value["pipelines"][0]["compiled"]["figures"]["registers"], 64);
        assert_eq!(value["pipelines"][1]["failed"], "crashed");
        assert!(json.lines().any(|line| line == r#"{"gpu":"navi21","kernel":"step-r8","failed":"crashed"}"#));
    }
}
