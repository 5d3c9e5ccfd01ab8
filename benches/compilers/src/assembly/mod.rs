//! What the drivers' statistics do not say, out of the assembly: loads in flight, and bytes of Intel's code.
//!
//! A reader for each vendor turns the text into [`Step`]s; [`in_flight`] follows these along every path and counts what
//! has been requested and not yet waited for.

mod amd;
mod flow;
mod intel;
mod nvidia;

use crate::gpu::Vendor;
use crate::vulkan::Executable;

pub use flow::InFlight;
pub use intel::code_bytes;

/// What of an instruction counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A load of `bytes` a lane from the buffer that `resource` names, to be waited for by `tag`.
    Load {
        tag: u8,
        resource: String,
        bytes: u32,
    },
    /// A load from elsewhere: it takes its turn among those that are waited for by number.
    Other {
        tag: u8,
    },
    /// Waits until no more than so many loads, the newest, are in flight.
    WaitForAllBut(usize),
    /// Waits for the loads with this tag.
    Wait {
        tag: u8,
    },
    Label(String),
    /// Goes to a label, or goes on.
    Branch(String),
    /// Goes to a label.
    Jump(String),
    End,
}

/// The name of the internal representation that is assembly.
fn title(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Amd => "Assembly",
        Vendor::Intel => "GEN Assembly",
        Vendor::Nvidia => "NAK assembly",
    }
}

pub fn of(vendor: Vendor, executable: &Executable) -> Option<&str> {
    let mut texts = executable.texts.iter();
    texts.find(|(name, _)| name == title(vendor)).map(|(_, text)| text.as_str())
}

/// The most bytes of one buffer that a lane has in flight.
pub fn in_flight(vendor: Vendor, assembly: &str) -> InFlight {
    let steps = match vendor {
        Vendor::Amd => amd::steps(assembly),
        Vendor::Intel => intel::steps(assembly),
        Vendor::Nvidia => nvidia::steps(assembly),
    };
    flow::in_flight(&steps)
}
