//! Prints what a call would do on a class of devices, which needs no device; or writes the kernels that it would use.
//!
//!     cargo run --example plan -- --layers 2 --hidden 128 --steps 3
//!     cargo run --example plan -- --hidden 256 --class software --kernels DIR
//!     cargo run --example plan -- --all --class hardware --kernels DIR
//!
//! DIR gets a `NAME.wgsl` for each kernel of the network, or with `--all` for every kernel that a device of the class may
//! use, and its override constants in `NAME.overrides`, `CONSTANT=VALUE` a line: input for compilers and checkers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use wgpu_lstm::inspect::{DeviceClass, Inspection, Kernel};
use wgpu_lstm::{LstmConfig, Precision, Schedule};

#[derive(Parser)]
#[command(about = "Prints what a call would do, without a device")]
struct Arguments {
    /// I, the width of a time step's input [default: that of --hidden]
    #[arg(long)]
    input: Option<usize>,
    /// H, hidden units
    #[arg(long, default_value_t = 128)]
    hidden: usize,
    /// P, the width of the hidden projection; 0 for none
    #[arg(long, default_value_t = 0)]
    projection: usize,
    /// L, layers
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// Both directions
    #[arg(long)]
    bidirectional: bool,
    /// Weights as f16
    #[arg(long)]
    half: bool,
    /// T, time steps
    #[arg(long, default_value_t = 3)]
    steps: usize,
    /// B, sequences
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// The schedule [default: the cheapest]
    #[arg(long, value_parser = parse_schedule)]
    schedule: Option<Schedule>,
    /// The class of devices
    #[arg(long, value_parser = parse_class, default_value = "hardware")]
    class: DeviceClass,
    /// Write the kernels into this folder instead of printing the program
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Write every kernel that a device of the class may use, not only those of the network
    #[arg(long, requires = "kernels")]
    all: bool,
}

fn parse_schedule(name: &str) -> Result<Schedule> {
    named(&Schedule::ALL, Schedule::name, name)
}

fn parse_class(name: &str) -> Result<DeviceClass> {
    named(&DeviceClass::ALL, DeviceClass::name, name)
}

fn named<T: Copy>(all: &[T], name_of: fn(T) -> &'static str, name: &str) -> Result<T> {
    let names = || all.iter().map(|&it| name_of(it)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|&it| name_of(it) == name).with_context(|| format!("one of {}", names()))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let config = LstmConfig::new(arguments.input.unwrap_or(arguments.hidden), arguments.hidden)
        .with_proj_size(arguments.projection)
        .with_num_layers(arguments.layers)
        .with_bidirectional(arguments.bidirectional);
    let precision = if arguments.half { Precision::F16 } else { Precision::F32 };
    let inspection = Inspection::new(&config, precision, arguments.class)?;
    match &arguments.kernels {
        Some(folder) if arguments.all => write_kernels(arguments.class.kernels()?, folder),
        Some(folder) => write_kernels(inspection.kernels(), folder),
        None => print_program(&inspection, &arguments),
    }
}

fn print_program(inspection: &Inspection, arguments: &Arguments) -> Result<()> {
    print!("{}", inspection.program(arguments.steps, arguments.batch, arguments.schedule)?);
    println!("\ncosts    schedule  dispatches       operations  bytes of weights   predicted µs");
    for cost in inspection.costs(arguments.steps, arguments.batch)? {
        println!(
            "         {:8} {:>11} {:>16} {:>17} {:>14.1}",
            cost.schedule.name(),
            cost.dispatches,
            cost.operations,
            cost.weight_bytes,
            cost.seconds * 1e6
        );
    }
    Ok(())
}

fn write_kernels(kernels: Vec<Kernel>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    for kernel in kernels {
        let overrides: String =
            kernel.overrides.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        for (extension, text) in [("wgsl", &kernel.source), ("overrides", &overrides)] {
            let path = folder.join(format!("{}.{extension}", kernel.name));
            fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        }
        println!("{}", kernel.name);
    }
    Ok(())
}
