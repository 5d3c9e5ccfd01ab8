//! Buffers of states that are kept from one program to the next.

use super::Gpu;
use crate::error::Error;
use crate::program::{State, Turn};

/// The buffers of a pool's states.
#[derive(Debug)]
pub(crate) struct StateBuffers {
    hidden: [wgpu::Buffer; 2],
    cell: wgpu::Buffer,
    stored_hidden: wgpu::Buffer,
    stored_cell: wgpu::Buffer,
}

impl StateBuffers {
    pub fn get(&self, state: State) -> &wgpu::Buffer {
        match state {
            State::Hidden(Turn::First) => &self.hidden[0],
            State::Hidden(Turn::Second) => &self.hidden[1],
            State::Cell => &self.cell,
            State::StoredHidden => &self.stored_hidden,
            State::StoredCell => &self.stored_cell,
        }
    }
}

impl Gpu {
    /// Allocates the buffers of h and c, of so many f32 each, all zeros.
    pub async fn state_buffers(&self, hidden: usize, cell: usize) -> Result<StateBuffers, Error> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let create = || {
            let buffer = |name, len: usize| self.buffer(name, 4 * len as u64, usage);
            StateBuffers {
                hidden: [buffer("h", hidden), buffer("h", hidden)],
                cell: buffer("c", cell),
                stored_hidden: buffer("stored h", hidden),
                stored_cell: buffer("stored c", cell),
            }
        };
        let buffers = self.scoped(create).await?;
        let StateBuffers { hidden: [first, second], cell, stored_hidden, stored_cell } = &buffers;
        self.check_backed(&[first, second, cell, stored_hidden, stored_cell]).await?;
        Ok(buffers)
    }
}
