//! Which LSTMs does a file hold, and how are they loaded? Prints a table of them and the line of Rust that loads each;
//! of a file without any, what it has instead.
//!
//! ```sh
//! cargo run --features formats --example inspect -- model.pt
//! cargo run --release --features formats --example inspect -- model.onnx --run --prefix /lstm/LSTM --steps 100
//! ```
//!
//! With `--run` it loads one and times it on every device here, after its output is compared with the float64 reference.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use wgpu_lstm::{FoundLstm, LstmConfig, LstmWeights, find_lstms_in_file};

#[path = "inspect/devices.rs"]
mod devices;
#[path = "inspect/timing.rs"]
mod timing;

/// Lists the LSTMs of a file of weights.
#[derive(Parser)]
struct Args {
    /// safetensors; with the features of these names also pytorch, onnx, keras, npz
    file: PathBuf,
    /// Load one and time it on every device
    #[arg(long)]
    run: bool,
    /// Which one is loaded; without it the only one, or the first that can be read
    #[arg(long)]
    prefix: Option<String>,
    /// Time steps of the timed call
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Sequences of the timed call
    #[arg(long, default_value_t = 1)]
    batch: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let found = find_lstms_in_file(&args.file)?;
    if found.is_empty() {
        // The error of reading says what the file has.
        return match LstmWeights::from_file(&args.file, "") {
            Ok(_) => Err(anyhow!("{} has an LSTM that is not listed", args.file.display())),
            Err(error) => Err(error.into()),
        };
    }
    println!("{}", table(&found));
    println!("{}", lines(&args.file, &found));
    if args.run {
        let prefix = chosen(args, &found)?;
        let weights = LstmWeights::from_file(&args.file, prefix)?;
        println!("\n{prefix:?}, T {}, B {}:", args.steps, args.batch);
        print!("{}", timing::on_every_device(&weights, args.steps, args.batch)?);
    }
    Ok(())
}

fn chosen<'a>(args: &'a Args, found: &'a [FoundLstm]) -> Result<&'a str> {
    match &args.prefix {
        Some(prefix) => Ok(prefix),
        None => found
            .iter()
            .find(|lstm| lstm.config.is_ok())
            .map(|lstm| lstm.prefix.as_str())
            .context("none of the LSTMs can be read"),
    }
}

fn table(found: &[FoundLstm]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "prefix",
        "layers",
        "directions",
        "input",
        "hidden",
        "projection",
        "bias",
        "parameters",
        "type",
    ]);
    for lstm in found {
        let numbers = match &lstm.config {
            Ok(config) => {
                let projection = match config.proj_size() {
                    0 => "none".to_owned(),
                    size => size.to_string(),
                };
                [
                    config.num_layers().to_string(),
                    config.num_directions().to_string(),
                    config.input_size().to_string(),
                    config.hidden_size().to_string(),
                    projection,
                    if config.bias() { "yes" } else { "no" }.to_owned(),
                    parameters(config).to_string(),
                ]
            }
            Err(_) => std::array::from_fn(|_| "–".to_owned()),
        };
        let name = format!("{:?}", lstm.prefix);
        table.add_row([name].into_iter().chain(numbers).chain([lstm.element_types.join(", ")]));
    }
    for column in table.column_iter_mut().skip(1).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The number of parameters.
fn parameters(config: &LstmConfig) -> usize {
    let (hidden, output) = (config.hidden_size(), config.output_size());
    let layers = (0..config.num_layers()).map(|layer| {
        let input = if layer == 0 { config.input_size() } else { config.num_directions() * output };
        let biases = if config.bias() { 8 * hidden } else { 0 };
        4 * hidden * (input + output) + biases + config.proj_size() * hidden
    });
    layers.sum::<usize>() * config.num_directions()
}

/// The line of Rust that loads each LSTM, or why it can't be loaded.
fn lines(file: &Path, found: &[FoundLstm]) -> String {
    let line = |lstm: &FoundLstm| {
        let mut text = match &lstm.config {
            Ok(_) => format!("LstmWeights::from_file({file:?}, {:?})?;", lstm.prefix),
            Err(error) => format!("// {:?} can't be read: {error}", lstm.prefix),
        };
        if let Some(network) = &lstm.part_of {
            text.push_str(&format!(" // one layer of {network:?}"));
        }
        if let Some(assumed) = &lstm.assumed {
            text.push_str(&format!("\n// assumed: {assumed}"));
        }
        text
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_as_the_state_dict_has_them() {
        for proj_size in [0, 2] {
            let config = LstmConfig::new(5, 3)
                .with_num_layers(3)
                .with_bidirectional(true)
                .with_bias(proj_size == 0)
                .with_proj_size(proj_size);
            let weights = LstmWeights::uniform(&config, 1).unwrap();
            let counted: usize = weights.state_dict().map(|(_, array)| array.len()).sum();
            assert_eq!(parameters(&config), counted);
        }
    }

    #[test]
    fn a_file_is_listed_run_and_refused() {
        let path = std::env::temp_dir().join(format!("wgpu-lstm-inspect-{}.safetensors", std::process::id()));
        let weights = LstmWeights::uniform(&LstmConfig::new(5, 3), 1).unwrap();
        std::fs::write(&path, weights.to_safetensors("encoder.").unwrap()).unwrap();
        let found = find_lstms_in_file(&path).unwrap();
        let listed = table(&found).to_string();
        assert!(listed.contains("\"encoder.\"") && listed.contains("120"), "{listed}");
        assert!(lines(&path, &found).ends_with(", \"encoder.\")?;"));
        let timed = timing::on_every_device(&weights, 4, 2).unwrap();
        assert!(timed.contains("CPU"), "{timed}");
        std::fs::write(
            &path,
            safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView<'_>)>::new(), None).unwrap(),
        )
        .unwrap();
        let arguments = ["inspect", path.to_str().unwrap()];
        assert!(run(&Args::parse_from(arguments)).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
