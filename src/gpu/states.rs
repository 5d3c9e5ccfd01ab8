//! Buffers of states that are kept from one program to the next.

use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::staging::{Mapping, Wait, Waiting};
use super::{Buffer, Gpu};
use crate::error::Error;
use crate::program::{State, Turn};

/// The buffers of a pool's states.
#[derive(Debug)]
pub(crate) struct StateBuffers {
    hidden: [Buffer; 2],
    cell: Buffer,
    stored_hidden: Buffer,
    stored_cell: Buffer,
}

impl StateBuffers {
    pub fn get(&self, state: State) -> &Buffer {
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
    /// Uploads f32 to the buffers: which one, from which f32 on.
    pub fn write_states(
        &self,
        states: &StateBuffers,
        writes: &[(State, usize, Vec<f32>)],
    ) -> Result<(), Error> {
        let write = self.scoped(|| {
            for (state, start, numbers) in writes {
                self.queue.write_buffer(states.get(*state), 4 * *start as u64, bytemuck::cast_slice(numbers));
            }
        });
        // Native wgpu knows at once whether it refuses the writes; a browser finds no fault with them.
        match pin!(write).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Downloads f32 of the buffers, one part after the other.
    pub async fn read_states(
        &self,
        states: &StateBuffers,
        parts: &[(State, Range<usize>)],
        wait: Wait,
    ) -> Result<Vec<f32>, Error> {
        let bytes = 4 * parts.iter().map(|(_, f32s)| f32s.len() as u64).sum::<u64>();
        let copy = || {
            let download = self.buffer("download", bytes, wgpu::BufferUsages::MAP_READ);
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut at = 0;
            for (state, f32s) in parts {
                let [start, len] = [f32s.start, f32s.len()].map(|f32s| 4 * f32s as u64);
                encoder.copy_buffer_to_buffer(states.get(*state), start, &download, at, len);
                at += len;
            }
            let index = self.queue.submit([encoder.finish()]);
            (Mapping::new(&download, wgpu::MapMode::Read, bytes, &index), download)
        };
        let (mapping, download) = self.scoped(copy).await?;
        self.mapped(mapping, &Waiting { wait, holds: None }).await?;
        let read = || download.get_mapped_range(..).map(|view| bytemuck::cast_slice(&view).to_vec());
        match self.scoped(read).await? {
            Ok(numbers) => Ok(numbers),
            Err(error) => Err(self.unmappable(error).await),
        }
    }

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
