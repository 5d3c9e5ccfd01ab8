//! Records a program, submits it, and reads back what it leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_channel::oneshot;

use super::prepared::Prepared;
use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::spec::{Host, Submission};

/// How a call waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// In the calling thread.
    Block,
    /// In a thread of its own, so that the caller's executor goes on; in a browser, in its event loop.
    Async,
}

/// A submission whose results are on their way.
struct Staged {
    /// Set when the results are mapped, or will not be.
    answered: Arc<AtomicBool>,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

impl Gpu {
    /// Runs all submissions in order and hands everything that comes back to `host`. After an error
    /// `prepared` is of no more use.
    pub async fn run<Tag, H: Host<Tag>>(
        &self,
        prepared: &mut Prepared<Tag>,
        pipelines: &Pipelines,
        host: &mut H,
        wait: Wait,
    ) -> Result<(), Error> {
        for (number, submission) in prepared.program.submissions.iter().enumerate() {
            let submit = || self.submit(number, submission, prepared, pipelines, host);
            if let Some(staged) = self.scoped(submit).await? {
                self.read_back(staged, &prepared.download, submission, host, wait).await?;
            }
        }
        prepared.params_are_there = prepared.program.submissions.len() == 1;
        self.map_upload(prepared).await;
        Ok(())
    }

    /// Uploads, dispatches and the copy of what comes back, as one submit.
    fn submit<Tag, H: Host<Tag>>(
        &self,
        number: usize,
        submission: &Submission<Tag>,
        prepared: &Prepared<Tag>,
        pipelines: &Pipelines,
        host: &H,
    ) -> Option<Staged> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mapped = number == 0 && prepared.upload_is_mapped.swap(false, Relaxed);
        if !(mapped && upload_mapped(&mut encoder, submission, prepared, host)) {
            for upload in &submission.uploads {
                let data = host.upload(&upload.tag, upload.len);
                self.queue.write_buffer(&prepared.buffers[upload.buffer], 0, bytemuck::cast_slice(&data));
            }
        }
        if !prepared.params_are_there {
            self.queue.write_buffer(&prepared.params, 0, &submission.params);
        }
        record(&mut encoder, submission, prepared, pipelines);
        let total = submission.download_bytes();
        if total == 0 {
            self.queue.submit([encoder.finish()]);
            return None;
        }
        let mut offset = 0;
        for download in &submission.downloads {
            let source = &prepared.buffers[download.buffer];
            encoder.copy_buffer_to_buffer(source, 0, &prepared.download, offset, download.bytes());
            offset += download.bytes();
        }
        let submission = self.queue.submit([encoder.finish()]);
        let (done, mapped) = oneshot::channel();
        let answered = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&answered);
        prepared.download.map_async(wgpu::MapMode::Read, ..total, move |result| {
            answer.store(true, Relaxed);
            let _ = done.send(result); // nobody waits any more if the call's future was dropped
        });
        Some(Staged { answered, mapped, submission })
    }

    async fn read_back<Tag, H: Host<Tag>>(
        &self,
        staged: Staged,
        download: &wgpu::Buffer,
        submission: &Submission<Tag>,
        host: &mut H,
        wait: Wait,
    ) -> Result<(), Error> {
        self.wait_for(staged.submission, staged.answered, download, wait);
        match staged.mapped.await {
            Ok(Ok(())) => {}
            _ => return Err(self.set_lost("the results can't be read back")),
        }
        let read = || -> Result<(), wgpu::MapRangeError> {
            let view = download.get_mapped_range(..submission.download_bytes())?;
            let mut rest: &[f32] = bytemuck::cast_slice(&view);
            for download in &submission.downloads {
                let (data, after) = rest.split_at(download.len);
                host.download(&download.tag, data);
                rest = after;
            }
            drop(view);
            download.unmap();
            Ok(())
        };
        self.scoped(read).await?.map_err(|error| Error::Internal { reason: error.to_string() })
    }

    /// Sees to it that the submission's callbacks are called.
    fn wait_for(
        &self,
        submission: wgpu::SubmissionIndex,
        answered: Arc<AtomicBool>,
        download: &wgpu::Buffer,
        wait: Wait,
    ) {
        let (device, buffer) = (self.device.clone(), download.clone());
        let until = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let poll = move || {
            // wgpu panics here if the device is lost while it waits, and leaves the callback pending:
            // unmapping calls it, with an error. (If it was called, the buffer may be in another run.)
            let failed = !matches!(catch_unwind(AssertUnwindSafe(|| device.poll(until))), Ok(Ok(_)));
            if failed && !answered.load(Relaxed) {
                let _ = catch_unwind(AssertUnwindSafe(|| buffer.unmap()));
            }
        };
        match wait {
            Wait::Block => poll(),
            #[cfg(not(target_family = "wasm"))]
            Wait::Async => {
                let fallback = poll.clone();
                if std::thread::Builder::new().spawn(poll).is_err() {
                    fallback(); // no thread to be had: better to block than to never wake up
                }
            }
            #[cfg(target_family = "wasm")]
            Wait::Async => drop(poll), // the browser calls back by itself
        }
    }
}

/// Writes what goes there into the mapped upload buffer, and copies it from there; false if it has no
/// memory after all.
fn upload_mapped<Tag, H: Host<Tag>>(
    encoder: &mut wgpu::CommandEncoder,
    submission: &Submission<Tag>,
    prepared: &Prepared<Tag>,
    host: &H,
) -> bool {
    let Ok(mut view) = prepared.upload.get_mapped_range_mut(..) else {
        return false;
    };
    let mut offset = 0;
    for upload in &submission.uploads {
        let data = host.upload(&upload.tag, upload.len);
        let data: &[u8] = bytemuck::cast_slice(&data);
        view.slice(offset..offset + data.len()).copy_from_slice(data);
        offset += data.len();
    }
    drop(view);
    prepared.upload.unmap();
    let mut offset = 0;
    for upload in &submission.uploads {
        let to = &prepared.buffers[upload.buffer];
        encoder.copy_buffer_to_buffer(&prepared.upload, offset, to, 0, upload.bytes());
        offset += upload.bytes();
    }
    true
}

fn record<Tag>(
    encoder: &mut wgpu::CommandEncoder,
    submission: &Submission<Tag>,
    prepared: &Prepared<Tag>,
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
