//! Programs and pipelines as text.

use std::fmt::Write as _;

use super::{DeviceClass, Kernel};
use crate::kernels::describe_uniform;
use crate::layout::PerWeight;
use crate::plan::Network;
use crate::program::Element;
use crate::program::{
    Access, BufferRef, BufferSpec, Contents, Dispatch, Held, Owner, PipelineSpec, Program, ResidentRef,
    Submission, Transfer, Turn,
};
use crate::tuning::Schedule;

pub(super) fn of_program(
    class: DeviceClass,
    network: &Network,
    program: &Program,
    way: Schedule,
    (steps, batch): (usize, usize),
) -> String {
    let config = &network.config;
    let dispatches: usize = program.submissions.iter().map(|s| s.pass.dispatches.len()).sum();
    let element = if network.element == Element::F16 { "f16" } else { "f32" };
    let mut text = format!(
        "network  L {} D {} I {} H {} P {}, weights {element}\ncall     T {steps} B {batch}, schedule {way}, {}\n\
         program  submissions: {}, dispatches: {dispatches}\n\nbuffers\n",
        config.num_layers(),
        config.num_directions(),
        config.input_size(),
        config.hidden_size(),
        config.proj_size(),
        class.name(),
        program.submissions.len(),
    );
    for (index, buffer) in network.resident.iter().enumerate() {
        line_of_buffer(&mut text, &format!("w{index}"), buffer);
    }
    for (index, buffer) in program.buffers.iter().enumerate() {
        line_of_buffer(&mut text, &format!("b{index}"), buffer);
    }
    for (number, submission) in program.submissions.iter().enumerate() {
        let _ = writeln!(text, "\nsubmission {}", number + 1);
        for upload in &submission.uploads {
            let _ = writeln!(text, "  upload    {}", transfer(program, upload));
        }
        for dispatch in &submission.pass.dispatches {
            lines_of_dispatch(&mut text, network, program, submission, dispatch);
        }
        for download in &submission.downloads {
            let _ = writeln!(text, "  download  {}", transfer(program, download));
        }
    }
    text
}

fn line_of_buffer(text: &mut String, index: &str, buffer: &BufferSpec) {
    let owner = match buffer.owner {
        Owner::Network => "network",
        Owner::State(_) => "state",
        Owner::Caller => "caller",
        Owner::Scratch => "scratch",
    };
    let _ = writeln!(text, "  {index:4} {owner:8} {:20} {:>12} bytes", buffer.name, buffer.bytes());
}

fn transfer(program: &Program, transfer: &Transfer) -> String {
    let contents = match &transfer.contents {
        Contents::Input { steps } => format!("input of steps {steps:?}"),
        Contents::Output { steps } => format!("output of steps {steps:?}"),
        Contents::Hidden { held } => match held {
            Held::All => "h".to_owned(),
            Held::At { turn: Turn::First, .. } => "h, first turn".to_owned(),
            Held::At { turn: Turn::Second, .. } => "h, second turn".to_owned(),
        },
        Contents::Cell => "c".to_owned(),
        Contents::Entries => "entries".to_owned(),
    };
    let name = &program.buffers[transfer.buffer].name;
    format!("b{} {name}: {contents}, {} bytes", transfer.buffer, transfer.bytes())
}

fn lines_of_dispatch(
    text: &mut String,
    network: &Network,
    program: &Program,
    submission: &Submission,
    dispatch: &Dispatch,
) {
    let pipeline = &network.pipelines[dispatch.pipeline];
    let [x, y, z] = dispatch.grid;
    let _ = writeln!(
        text,
        "  dispatch  {}, grid {x} × {y} × {z}, {} operations",
        name_of(pipeline),
        dispatch.operations
    );
    let set = &program.bind_sets[dispatch.bind_set];
    let (uniform, storage) = pipeline.kernel.bindings.split_at(1);
    for (binding, buffer) in storage.iter().zip(&set.buffers) {
        let access = if binding.access == Access::ReadWrite { "read, write" } else { "read" };
        let buffer = match buffer {
            BufferRef::Program(index) => format!("b{index} {}", program.buffers[*index].name),
            BufferRef::Resident(part) => weight(network, *part),
        };
        let _ = writeln!(text, "    {:12} {access:12} {buffer}", binding.name);
    }
    let lines = describe_uniform(pipeline.kernel, &submission.pass, dispatch);
    let mut label = uniform[0].name;
    for line in lines {
        let _ = writeln!(text, "    {label:12} {line}");
        label = "";
    }
}

/// A part of the network's buffers: its name where it is one weight.
fn weight(network: &Network, part: ResidentRef) -> String {
    let of_layer = |(layer, parts): (usize, &PerWeight<ResidentRef>)| {
        let named = [("weight_ih", Some(parts.w_ih)), ("bias", Some(parts.bias))];
        let named = named.into_iter().chain([("weight_hh", Some(parts.w_hh)), ("weight_hr", parts.w_hr)]);
        let mut same = named.filter(|(_, other)| *other == Some(part));
        same.next().map(|(name, _)| format!("{name}_l{layer}"))
    };
    let name =
        network.weights.iter().enumerate().find_map(of_layer).unwrap_or_else(|| "all layers".to_owned());
    format!("w{} {name}, bytes {}..{}", part.buffer, 4 * part.start, 4 * (part.start + part.len))
}

/// The kernel's name, with what tells its pipelines apart.
fn name_of(pipeline: &PipelineSpec) -> String {
    let mut name = pipeline.kernel.name.to_owned();
    for (letter, constant) in [('m', "REDUCTION"), ('n', "COLUMNS"), ('d', "DIRECTIONS"), ('r', "ROWS")] {
        if let Some((_, value)) = pipeline.constants.iter().find(|(other, _)| *other == constant) {
            let _ = write!(name, "-{letter}{value}");
        }
    }
    if pipeline.constants.contains(&("PROJECTED", 1.0)) {
        name += "-projected";
    }
    if pipeline.variant.subgroups {
        name += "-subgroups";
    }
    if pipeline.variant.element == Element::F16 {
        name += "-f16";
    }
    name
}

pub(super) fn of_pipeline(pipeline: &PipelineSpec) -> Kernel {
    Kernel {
        name: name_of(pipeline),
        source: pipeline.kernel.source(pipeline.variant),
        overrides: pipeline.constants.clone(),
    }
}
