//! Records a program, submits it, and downloads its results.

use std::borrow::Borrow;

use super::prepared::Prepared;
use super::staging::{Mapping, Upload, Wait};
use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::program::{Host, Pass, Submission};

impl Gpu {
    /// Runs the submissions of the program that was prepared, in order, and hands every download to `host`. After an
    /// error `prepared` must not be used again.
    pub async fn run(
        &self,
        prepared: &mut Prepared,
        submissions: impl Iterator<Item = impl Borrow<Submission>>,
        pipelines: &Pipelines,
        host: &mut dyn Host,
        wait: Wait,
    ) -> Result<(), Error> {
        for submission in submissions {
            let submission = submission.borrow();
            if !submission.uploads.is_empty() {
                self.writable(&mut prepared.upload, wait).await?;
            }
            if let Some(uniforms) = &mut prepared.uniforms_upload {
                self.writable(uniforms, wait).await?;
            }
            let submit = || self.submit(submission, prepared, pipelines, host);
            let results = self.scoped(submit).await?.map_err(|error| self.unmappable(&error))?;
            if let Some(results) = results {
                self.mapped(results, wait).await?;
                let read = || read_back(&prepared.download, submission, host);
                self.scoped(read).await?.map_err(|error| self.unmappable(&error))?;
            }
        }
        Ok(())
    }

    /// Records and submits uploads, pass and downloads; returns the mapping of the download buffer, if there is one.
    fn submit(
        &self,
        submission: &Submission,
        prepared: &mut Prepared,
        pipelines: &Pipelines,
        host: &dyn Host,
    ) -> Result<Option<Mapping>, wgpu::MapRangeError> {
        let uploads = !submission.uploads.is_empty();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        if uploads {
            write_uploads(&prepared.upload, submission, host)?;
            let mut offset = 0;
            for upload in &submission.uploads {
                let to = &prepared.buffers[upload.buffer];
                encoder.copy_buffer_to_buffer(prepared.upload.buffer(), offset, to, 0, upload.bytes());
                offset += upload.bytes();
            }
        }
        let bytes = submission.pass.uniforms.len();
        if let Some(upload) = &prepared.uniforms_upload {
            upload.write(|mut view| view.slice(..bytes).copy_from_slice(&submission.pass.uniforms))?;
            encoder.copy_buffer_to_buffer(upload.buffer(), 0, &prepared.uniforms, 0, bytes as u64);
        }
        record(&mut encoder, &submission.pass, prepared, pipelines);
        let mut total = 0;
        for download in &submission.downloads {
            let source = &prepared.buffers[download.buffer];
            encoder.copy_buffer_to_buffer(source, 0, &prepared.download, total, download.bytes());
            total += download.bytes();
        }
        let index = self.queue.submit([encoder.finish()]);
        if uploads {
            prepared.upload.reclaim(&index);
        }
        if let Some(uniforms) = &mut prepared.uniforms_upload {
            uniforms.reclaim(&index);
        }
        Ok((total > 0).then(|| Mapping::new(&prepared.download, wgpu::MapMode::Read, total, &index)))
    }

    /// A buffer that was mapped gives no memory: so it is on a lost device.
    pub(super) fn unmappable(&self, error: &wgpu::MapRangeError) -> Error {
        if self.is_lost() {
            return self.set_lost("its buffers have no memory");
        }
        Error::Internal { reason: error.to_string() }
    }
}

fn write_uploads(
    upload: &Upload,
    submission: &Submission,
    host: &dyn Host,
) -> Result<(), wgpu::MapRangeError> {
    upload.write(|mut view| {
        let (mut at, mut end) = (0, 0);
        for transfer in &submission.uploads {
            host.upload(&transfer.contents, &mut |data| {
                let data: &[u8] = bytemuck::cast_slice(data);
                view.slice(at..at + data.len()).copy_from_slice(data);
                at += data.len();
            });
            end += transfer.bytes() as usize;
            view.slice(at..end).fill(0);
            at = end;
        }
    })
}

fn read_back(
    buffer: &wgpu::Buffer,
    submission: &Submission,
    host: &mut dyn Host,
) -> Result<(), wgpu::MapRangeError> {
    let view = buffer.get_mapped_range(..submission.download_bytes())?;
    let mut rest: &[f32] = bytemuck::cast_slice(&view);
    for download in &submission.downloads {
        let (data, after) = rest.split_at(download.len);
        host.download(&download.contents, data);
        rest = after;
    }
    drop(view);
    buffer.unmap();
    Ok(())
}

/// Records a pass, into any encoder of the device.
fn record(encoder: &mut wgpu::CommandEncoder, pass: &Pass, prepared: &Prepared, pipelines: &Pipelines) {
    if pass.dispatches.is_empty() {
        return;
    }
    let mut compute = encoder.begin_compute_pass(&Default::default());
    let mut current = None;
    for dispatch in &pass.dispatches {
        if current != Some(dispatch.pipeline) {
            compute.set_pipeline(&pipelines.get(dispatch.pipeline).pipeline);
            current = Some(dispatch.pipeline);
        }
        compute.set_bind_group(0, &prepared.bind_groups[dispatch.bind_set], &[dispatch.uniform]);
        let [x, y, z] = dispatch.grid;
        compute.dispatch_workgroups(x, y, z);
    }
}
