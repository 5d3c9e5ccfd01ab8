//! How much memory a network's parameters take.

use crate::config::LstmConfig;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};

/// Refuses a network whose parameters need more memory than there is. The parameters are allocated one by one, and
/// without this check the allocation that fails would abort the process.
pub(super) fn check_memory_for(config: &LstmConfig) -> Result<(), Error> {
    let bytes = bytes(config).filter(|&bytes| bytes <= isize::MAX as usize);
    let bytes = bytes.ok_or(Error::SizeOverflow { what: "the arrays of all parameters" })?;
    check_memory::<u8>(bytes).map_err(host_out_of_memory)
}

/// The number of bytes of all parameters; `None` if it overflows.
fn bytes(config: &LstmConfig) -> Option<usize> {
    let (hidden, output) = (config.hidden_size(), config.output_size());
    let directions = config.num_directions();
    let projection = config.proj_size().checked_mul(hidden)?;
    let of_layer = |input: usize| {
        // 4H rows, each of W_ih, W_hh, b_ih and b_hh.
        let row = input.checked_add(output)?.checked_add(2)?;
        hidden.checked_mul(4)?.checked_mul(row)?.checked_add(projection)?.checked_mul(directions)
    };
    let first = of_layer(config.input_size())?;
    let other = of_layer(directions.checked_mul(output)?)?;
    first.checked_add(other.checked_mul(config.num_layers() - 1)?)?.checked_mul(size_of::<f32>())
}
