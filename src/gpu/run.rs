//! Records a program, submits it, and downloads its results.

use std::borrow::Borrow;

use super::prepared::{Prepared, Transfers};
use super::staging::{Mapping, Waiting};
use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::program::{Dispatch, Host, Pass, StateCopy, Submission, Transfer};

impl Gpu {
    /// Runs the submissions of the program that was prepared, in order, and hands every download to `host`. After an
    /// error `prepared` must not be used again.
    pub async fn run(
        &self,
        prepared: &mut Prepared,
        submissions: impl Iterator<Item = impl Borrow<Submission>>,
        pipelines: &Pipelines,
        host: &mut dyn Host,
        wait: &Waiting,
    ) -> Result<(), Error> {
        for submission in submissions {
            let submission = submission.borrow();
            self.ready_to_write(submission, prepared, wait).await?;
            let submit = || self.submit(submission, prepared, pipelines, host);
            match self.scoped(submit).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.unmappable(error).await),
                Err(error) => {
                    host.refused();
                    return Err(error);
                }
            }
            if !submission.downloads.is_empty() {
                while let Some(mapping) = prepared.mappings.pop() {
                    self.mapped(mapping, wait).await?;
                }
                let read = || read_back(prepared, submission, host);
                if let Err(error) = self.scoped(read).await? {
                    return Err(self.unmappable(error).await);
                }
                // What was mapped before a loss can be read after it.
                self.check_there()?;
            }
        }
        Ok(())
    }

    /// Waits until the host can write what the submission uploads.
    async fn ready_to_write(
        &self,
        submission: &Submission,
        prepared: &mut Prepared,
        wait: &Waiting,
    ) -> Result<(), Error> {
        if let Some(uniforms) = &mut prepared.uniforms_upload {
            self.writable(uniforms, wait).await?;
        }
        let Prepared { transfers, mappings, buffers, .. } = prepared;
        match transfers {
            _ if submission.uploads.is_empty() => Ok(()),
            Transfers::Staged { upload, .. } => self.writable(upload, wait).await,
            Transfers::Direct { last } => {
                let request =
                    |to: &Transfer| Mapping::new(&buffers[to.buffer], wgpu::MapMode::Write, to.bytes(), last);
                self.scoped(|| mappings.extend(submission.uploads.iter().map(request))).await?;
                self.poll(); // the device is idle if the results of the last submission were read: no wait then
                while let Some(mapping) = mappings.pop() {
                    self.mapped(mapping, wait).await?;
                }
                Ok(())
            }
        }
    }

    /// Records and submits uploads, pass and downloads, and requests to map what is to be read.
    fn submit(
        &self,
        submission: &Submission,
        prepared: &mut Prepared,
        pipelines: &Pipelines,
        host: &mut dyn Host,
    ) -> Result<(), wgpu::MapRangeError> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        write_uploads(&mut encoder, submission, prepared, host)?;
        let bytes = submission.pass.uniforms.len();
        if let Some(upload) = &prepared.uniforms_upload {
            upload.write(|mut view| view.slice(..bytes).copy_from_slice(&submission.pass.uniforms))?;
            encoder.copy_buffer_to_buffer(upload.buffer(), 0, &prepared.uniforms, 0, bytes as u64);
        }
        record(&mut encoder, &submission.pass, prepared, pipelines);
        if let Transfers::Staged { download: to, .. } = &prepared.transfers {
            let mut total = 0;
            for download in &submission.downloads {
                let source = &prepared.buffers[download.buffer];
                encoder.copy_buffer_to_buffer(source, 0, to, total, download.bytes());
                total += download.bytes();
            }
        }
        let index = self.queue.submit([encoder.finish()]);
        if let Some(uniforms) = &mut prepared.uniforms_upload {
            uniforms.reclaim(&index);
        }
        let Prepared { transfers, mappings, buffers, .. } = prepared;
        let mut read = |buffer: &wgpu::Buffer, bytes| {
            mappings.push(Mapping::new(buffer, wgpu::MapMode::Read, bytes, &index));
        };
        match transfers {
            Transfers::Staged { upload, download } => {
                if !submission.uploads.is_empty() {
                    upload.reclaim(&index);
                }
                if !submission.downloads.is_empty() {
                    read(download, submission.download_bytes());
                }
            }
            Transfers::Direct { last } => {
                submission.downloads.iter().for_each(|from| read(&buffers[from.buffer], from.bytes()));
                *last = index;
            }
        }
        host.submitted();
        Ok(())
    }

    /// A buffer that was mapped gives no memory: so it is on a lost device.
    pub(super) async fn unmappable(&self, error: wgpu::MapRangeError) -> Error {
        self.refusal("its buffers have no memory", error.to_string()).await
    }
}

/// Writes what is uploaded, into mapped buffers; from staging it is copied.
fn write_uploads(
    encoder: &mut wgpu::CommandEncoder,
    submission: &Submission,
    prepared: &Prepared,
    host: &dyn Host,
) -> Result<(), wgpu::MapRangeError> {
    let uploads = &submission.uploads;
    match &prepared.transfers {
        _ if uploads.is_empty() => {}
        Transfers::Staged { upload, .. } => {
            upload.write(|mut view| {
                let mut at = 0;
                for transfer in uploads {
                    let end = at + transfer.bytes() as usize;
                    fill(view.slice(at..end), transfer, host);
                    at = end;
                }
            })?;
            let mut at = 0;
            for transfer in uploads {
                let to = &prepared.buffers[transfer.buffer];
                encoder.copy_buffer_to_buffer(upload.buffer(), at, to, 0, transfer.bytes());
                at += transfer.bytes();
            }
        }
        Transfers::Direct { .. } => {
            for transfer in uploads {
                let buffer = &prepared.buffers[transfer.buffer];
                let mut view = buffer.get_mapped_range_mut(..transfer.bytes())?;
                fill(view.slice(..), transfer, host);
                drop(view);
                buffer.unmap();
            }
        }
    }
    Ok(())
}

/// Writes one upload, with zeros where the host gives nothing.
fn fill(mut to: wgpu::WriteOnly<'_, [u8]>, transfer: &Transfer, host: &dyn Host) {
    let mut at = 0;
    host.upload(&transfer.contents, &mut |data| {
        let data: &[u8] = bytemuck::cast_slice(data);
        to.slice(at..at + data.len()).copy_from_slice(data);
        at += data.len();
    });
    to.slice(at..).fill(0);
}

/// Hands every download to the host, and unmaps the buffers.
fn read_back(
    prepared: &Prepared,
    submission: &Submission,
    host: &mut dyn Host,
) -> Result<(), wgpu::MapRangeError> {
    match &prepared.transfers {
        Transfers::Staged { download: buffer, .. } => {
            let view = buffer.get_mapped_range(..submission.download_bytes())?;
            let mut rest: &[f32] = bytemuck::cast_slice(&view);
            for download in &submission.downloads {
                let (data, after) = rest.split_at(download.len);
                host.download(&download.contents, data);
                rest = after;
            }
            drop(view);
            buffer.unmap();
        }
        Transfers::Direct { .. } => {
            for download in &submission.downloads {
                let buffer = &prepared.buffers[download.buffer];
                let view = buffer.get_mapped_range(..download.bytes())?;
                host.download(&download.contents, bytemuck::cast_slice(&view));
                drop(view);
                buffer.unmap();
            }
        }
    }
    Ok(())
}

/// Records a pass, into any encoder of the device.
pub(crate) fn record(
    encoder: &mut wgpu::CommandEncoder,
    pass: &Pass,
    prepared: &Prepared,
    pipelines: &Pipelines,
) {
    record_copies(encoder, &pass.copies_before, prepared);
    record_dispatches(encoder, &pass.dispatches, prepared, pipelines);
    record_copies(encoder, &pass.copies_after, prepared);
}

/// Records zeros into a buffer of the program.
pub(crate) fn record_zeros(encoder: &mut wgpu::CommandEncoder, prepared: &Prepared, buffer: usize) {
    encoder.clear_buffer(&prepared.buffers[buffer], 0, None);
}

fn record_copies(encoder: &mut wgpu::CommandEncoder, copies: &[StateCopy], prepared: &Prepared) {
    for &StateCopy { from, to, start, len } in copies {
        let [start, bytes] = [start, len].map(|f32s| 4 * f32s as u64);
        encoder.copy_buffer_to_buffer(&prepared.buffers[from], start, &prepared.buffers[to], start, bytes);
    }
}

fn record_dispatches(
    encoder: &mut wgpu::CommandEncoder,
    dispatches: &[Dispatch],
    prepared: &Prepared,
    pipelines: &Pipelines,
) {
    if dispatches.is_empty() {
        return;
    }
    let mut compute = encoder.begin_compute_pass(&Default::default());
    let mut current = None;
    for dispatch in dispatches {
        if current != Some(dispatch.pipeline) {
            compute.set_pipeline(&pipelines.get(dispatch.pipeline).pipeline);
            current = Some(dispatch.pipeline);
        }
        compute.set_bind_group(0, &prepared.bind_groups[dispatch.bind_set], &[dispatch.uniform]);
        let [x, y, z] = dispatch.grid;
        compute.dispatch_workgroups(x, y, z);
    }
}
