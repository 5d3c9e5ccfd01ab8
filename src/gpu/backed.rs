//! Whether buffers have memory, where wgpu does not say.

use super::staging::{Mapping, Wait, Waiting};
use super::{Buffer, Gpu};
use crate::error::Error;

/// What is written to a buffer's last word; anything but the zero that a new buffer holds.
const MARK: u32 = 0x4c53_544d;

impl Gpu {
    /// Refuses new buffers that have no memory; leaves them as they are, all zeros.
    ///
    /// wgpu's OpenGL backend does not ask the driver whether an allocation failed. A buffer without memory reads as
    /// zeros, and results were zeros too. So there, a word is written to each buffer and read back.
    pub(super) async fn check_backed(&self, buffers: &[&Buffer]) -> Result<(), Error> {
        if self.info.backend != wgpu::Backend::Gl || buffers.is_empty() {
            return Ok(());
        }
        let bytes = 4 * buffers.len() as u64;
        let write = || {
            let probe = self.buffer("probe", bytes, wgpu::BufferUsages::MAP_READ);
            let mut encoder = self.device.create_command_encoder(&Default::default());
            for (&buffer, to) in buffers.iter().zip((0..).step_by(4)) {
                let last = buffer.size() - 4;
                self.queue.write_buffer(buffer, last, &MARK.to_ne_bytes());
                encoder.copy_buffer_to_buffer(buffer, last, &probe, to, 4);
            }
            let index = self.queue.submit([encoder.finish()]);
            buffers.iter().for_each(|buffer| self.queue.write_buffer(buffer, buffer.size() - 4, &[0; 4]));
            (Mapping::new(&probe, wgpu::MapMode::Read, bytes, &index), probe)
        };
        let (mapping, probe) = self.scoped(write).await?;
        // There is no OpenGL with compute shaders in a browser.
        self.mapped(mapping, &Waiting { wait: Wait::Block, holds: None }).await?;
        let read = || {
            let view = probe.get_mapped_range(..)?;
            let marks: &[u32] = bytemuck::cast_slice(&view);
            Ok(buffers.iter().zip(marks).find(|&(_, &mark)| mark != MARK).map(|(buffer, _)| buffer.size()))
        };
        match self.scoped(read).await? {
            Err(error) => Err(self.unmappable(error).await),
            Ok(None) => Ok(()),
            Ok(Some(bytes)) => Err(Error::OutOfMemory {
                reason: format!("the device: no memory for a buffer of {bytes} bytes"),
            }),
        }
    }
}
