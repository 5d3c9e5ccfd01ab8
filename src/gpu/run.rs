//! Records a program, submits it, and reads back what it leaves.

use std::borrow::Borrow;

use super::prepared::Prepared;
use super::staging::{Mapping, Upload, Wait};
use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::program::{Host, Submission};

impl Gpu {
    /// Runs the submissions of the program that was prepared, in order, and hands everything that comes back to
    /// `host`. After an error `prepared` is of no more use.
    pub async fn run<Tag, H: Host<Tag>>(
        &self,
        prepared: &mut Prepared,
        submissions: impl Iterator<Item = impl Borrow<Submission<Tag>>>,
        pipelines: &Pipelines,
        host: &mut H,
        wait: Wait,
    ) -> Result<(), Error> {
        for submission in submissions {
            let submission = submission.borrow();
            if !submission.uploads.is_empty() {
                self.writable(&mut prepared.upload, wait).await?;
            }
            if let Some(params) = &mut prepared.params_upload {
                self.writable(params, wait).await?;
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

    /// Uploads, dispatches and the copy of what comes back, as one submit; then what is on its way back.
    fn submit<Tag, H: Host<Tag>>(
        &self,
        submission: &Submission<Tag>,
        prepared: &mut Prepared,
        pipelines: &Pipelines,
        host: &H,
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
        let bytes = submission.params.len();
        if let Some(upload) = &prepared.params_upload {
            upload.write(|mut view| view.slice(..bytes).copy_from_slice(&submission.params))?;
            encoder.copy_buffer_to_buffer(upload.buffer(), 0, &prepared.params, 0, bytes as u64);
        }
        record(&mut encoder, submission, prepared, pipelines);
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
        if let Some(params) = &mut prepared.params_upload {
            params.reclaim(&index);
        }
        Ok((total > 0).then(|| Mapping::new(&prepared.download, wgpu::MapMode::Read, total, &index)))
    }

    /// A buffer that was mapped gives no memory: so it is on a lost device.
    fn unmappable(&self, error: &wgpu::MapRangeError) -> Error {
        if self.is_lost() {
            return self.set_lost("its buffers have no memory");
        }
        Error::Internal { reason: error.to_string() }
    }
}

fn write_uploads<Tag, H: Host<Tag>>(
    upload: &Upload,
    submission: &Submission<Tag>,
    host: &H,
) -> Result<(), wgpu::MapRangeError> {
    upload.write(|mut view| {
        let (mut at, mut end) = (0, 0);
        for transfer in &submission.uploads {
            host.upload(&transfer.tag, &mut |data| {
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

fn read_back<Tag, H: Host<Tag>>(
    buffer: &wgpu::Buffer,
    submission: &Submission<Tag>,
    host: &mut H,
) -> Result<(), wgpu::MapRangeError> {
    let view = buffer.get_mapped_range(..submission.download_bytes())?;
    let mut rest: &[f32] = bytemuck::cast_slice(&view);
    for download in &submission.downloads {
        let (data, after) = rest.split_at(download.len);
        host.download(&download.tag, data);
        rest = after;
    }
    drop(view);
    buffer.unmap();
    Ok(())
}

fn record<Tag>(
    encoder: &mut wgpu::CommandEncoder,
    submission: &Submission<Tag>,
    prepared: &Prepared,
    pipelines: &Pipelines,
) {
    if submission.dispatches.is_empty() {
        return;
    }
    let mut pass = encoder.begin_compute_pass(&Default::default());
    let mut current = None;
    for dispatch in &submission.dispatches {
        if current != Some(dispatch.pipeline) {
            pass.set_pipeline(&pipelines.get(dispatch.pipeline).pipeline);
            current = Some(dispatch.pipeline);
        }
        pass.set_bind_group(0, &prepared.bind_groups[dispatch.bind_set], &[dispatch.params]);
        let [x, y, z] = dispatch.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}
