//! Compiles every kernel for GPUs that this machine does not have, and writes what their compilers tell.
//!
//! Started by `benches/compilers/run`, which gets the drivers.

mod assembly;
mod child;
mod figures;
mod gpu;
mod kernels;
mod limits;
mod page;
mod record;
mod translate;
mod vulkan;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use wgpu_lstm::inspect::DeviceClass;

use child::Compiler;
use figures::Figures;
use gpu::{GPUS, Gpu};
use kernels::Case;
use limits::Exceeded;
use record::{Known, Outcome, Record, Row};
use vulkan::{About, Report};

#[derive(Parser)]
struct Options {
    /// Only this GPU; may be given several times.
    #[arg(long, value_parser = parse_gpu)]
    gpu: Vec<Gpu>,
    /// Only kernels whose name has this part; may be given several times.
    #[arg(long, value_name = "PART")]
    kernel: Vec<String>,
    /// Where compilers.md and compilers.json are written. Without it the page goes to standard output.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Lists the pipelines beyond a limit instead, and fails if there is any.
    #[arg(long)]
    check: bool,
    /// Where the compilers' assembly and intermediate code are written.
    #[arg(long)]
    texts: Option<PathBuf>,
    /// The folder that drivers.sh filled.
    #[arg(long)]
    drivers: Option<PathBuf>,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// Compiles what comes on standard input, with the driver that the environment chooses.
    #[command(hide = true)]
    Driver,
}

fn parse_gpu(name: &str) -> Result<Gpu, String> {
    let names = || GPUS.map(|gpu| gpu.name).join(", ");
    GPUS.into_iter().find(|gpu| gpu.name == name).ok_or_else(|| format!("one of {}", names()))
}

/// Pipelines that a process compiles before another GPU has its turn.
const PORTION: usize = 50;

/// The kernels of each class of devices.
type Classes = Vec<(DeviceClass, Vec<Case>)>;

fn classes(gpus: &[Gpu], parts: &[String]) -> Result<Classes> {
    let mut classes = Classes::new();
    for class in gpus.iter().map(Gpu::class) {
        if classes.iter().all(|(other, _)| *other != class) {
            let mut cases = kernels::cases(class)?;
            let wanted = |case: &Case| parts.iter().any(|part| case.kernel.name.contains(part));
            cases.retain(|case| parts.is_empty() || wanted(case));
            ensure!(!cases.is_empty(), "no kernel's name has {}", parts.join(" or "));
            classes.push((class, cases));
        }
    }
    Ok(classes)
}

/// Compiles everything, with a driver's process on each core.
fn compile(options: &Options, gpus: &[Gpu], classes: &Classes) -> Result<(Vec<About>, Vec<Row>)> {
    let drivers = options.drivers.as_deref().context("--drivers is missing")?;
    let of_gpu = |&gpu: &Gpu| {
        let cases = classes.iter().filter(move |(class, _)| *class == gpu.class());
        cases.flat_map(move |(_, cases)| cases.chunks(PORTION).map(move |cases| (gpu, cases)))
    };
    let portions: Vec<_> = gpus.iter().flat_map(of_gpu).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        while let Some(&(gpu, cases)) = portions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let portion = compile_portion(gpu, cases, drivers, options.texts.as_deref())?;
            eprintln!("{}: {} pipelines in {:.0?}", gpu.name, cases.len(), start.elapsed());
            done.lock().expect("no thread panics").push(portion);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    let done = done.into_inner()?;
    let about =
        |gpu: &Gpu| done.iter().find(|(of, ..)| of.name == gpu.name).map(|(_, about, _)| about.clone());
    let abouts = gpus.iter().map(|gpu| about(gpu).context("no pipelines")).collect::<Result<_>>()?;
    let mut rows: Vec<Row> = done.into_iter().flat_map(|(_, _, rows)| rows).collect();
    rows.sort_by(|a, b| a.kernel.cmp(&b.kernel).then_with(|| place(a.gpu).cmp(&place(b.gpu))));
    Ok((abouts, rows))
}

fn place(gpu: &str) -> Option<usize> {
    GPUS.iter().position(|other| other.name == gpu)
}

fn compile_portion(
    gpu: Gpu,
    cases: &[Case],
    drivers: &Path,
    texts: Option<&Path>,
) -> Result<(Gpu, About, Vec<Row>)> {
    let program = std::env::current_exe()?;
    let driver = || {
        let mut command = gpu.command(&program, drivers);
        command.arg("driver");
        Ok(command)
    };
    let mut compiler = Compiler::new(driver).with_context(|| gpu.name)?;
    let rows = cases.iter().map(|case| {
        let compiled = translate::translate(&case.kernel).and_then(|shader| compiler.compile(&shader));
        let outcome = match compiled.and_then(outcome_of(gpu, case, texts)) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        Row::new(gpu, case, outcome)
    });
    let rows = rows.collect();
    Ok((gpu, compiler.about, rows))
}

fn outcome_of(gpu: Gpu, case: &Case, texts: Option<&Path>) -> impl FnOnce(Report) -> Result<Outcome> {
    move |report| {
        let [executable] = &report[..] else { bail!("{} executables instead of one", report.len()) };
        if let Some(folder) = texts.map(|folder| folder.join(gpu.name)) {
            fs::create_dir_all(&folder)?;
            for (title, text) in &executable.texts {
                let title = title.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                fs::write(folder.join(format!("{}.{title}.txt", case.kernel.name)), text)?;
            }
        }
        let figures = Figures::new(gpu.vendor, executable);
        // a hash is no statistic, and most of the others are zero
        let statistics = executable.statistics.iter();
        let statistics =
            statistics.filter(|(name, value)| !name.to_lowercase().contains("hash") && *value != 0.0);
        Ok(Outcome::Compiled { figures, statistics: statistics.cloned().collect() })
    }
}

/// Standard output of a command, or why there is none.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn commit() -> Result<String> {
    let revision = output_of(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))?;
    let changes =
        output_of(Command::new("git").args(["status", "--porcelain", "--", ":/", ":!/benches/record"]))?;
    Ok(if changes.is_empty() { revision } else { revision + ", with uncommitted changes" })
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(Mode::Driver) = options.mode {
        return vulkan::serve();
    }
    let gpus: Vec<Gpu> = if options.gpu.is_empty() { GPUS.to_vec() } else { options.gpu.clone() };
    let classes = classes(&gpus, &options.kernel)?;
    // before the run: afterwards somebody may have changed it
    let (date, commit) = (output_of(Command::new("date").args(["-u", "+%F %R UTC"]))?, commit()?);
    let (abouts, rows) = compile(&options, &gpus, &classes)?;
    let known = |(class, cases): (DeviceClass, Vec<Case>)| {
        cases.into_iter().map(move |Case { kernel, networks, .. }| Known {
            class: class.name(),
            name: kernel.name,
            overrides: kernel.overrides,
            networks,
        })
    };
    let kernels = classes.into_iter().flat_map(known);
    let gpus = gpus.into_iter().zip(abouts).collect();
    let record = Record { date, commit, gpus, kernels: kernels.collect(), rows };
    if let Some(folder) = &options.record {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("compilers.md"), page::markdown(&record)?)?;
        fs::write(folder.join("compilers.json"), record.json()?)?;
    } else if !options.check {
        print!("{}", page::markdown(&record)?);
    }
    let beyond: Vec<_> = record.rows.iter().filter_map(|row| Exceeded::of(row).describe(row)).collect();
    if options.check {
        beyond.iter().for_each(|line| println!("{line}"));
        ensure!(beyond.is_empty(), "{} of {} pipelines are beyond a limit", beyond.len(), record.rows.len());
    }
    let failed = record.rows.iter().filter(|row| Exceeded::of(row).failed).count();
    ensure!(failed == 0, "{failed} of {} pipelines failed to compile", record.rows.len());
    Ok(())
}
