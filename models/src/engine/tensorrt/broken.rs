//! An engine that can do nothing any more, and why.

use belvedere_kernels::device::Device;

use super::Networks;
use super::admission::Admission;
use super::device_engine::DeviceEngine;
use super::workspace::failure;
use crate::ModelError;

impl<D: Device, N: Networks<D>> DeviceEngine<D, N> {
    /// Decodes on. After an error nothing can be decoded any more: what the rows hold is not known.
    pub(super) fn go_on(&mut self) -> Result<(), ModelError> {
        self.check()?;
        self.pump().inspect_err(|error| self.give_up(error))
    }

    /// Lets those begin whose prompts are encoded. After an error it is not known who has begun.
    pub(super) fn begin_waiting(&mut self) -> Result<(), ModelError> {
        self.begin_encoded().inspect_err(|error| self.give_up(error))
    }

    /// # Errors
    /// The engine is broken; it says by what first.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        match &self.broken {
            Some(first) => {
                let doing = "broken after an earlier failure, until the model is loaded again";
                Err(failure(doing, first))
            }
            None => Ok(()),
        }
    }

    /// Hands on what work beside the decoding has come to. An error of that work alone, such as too little memory, changes
    /// nothing; but a device may be lost by one, and does nothing for anybody then, whoever asks.
    pub(super) fn unless_lost<T>(&mut self, result: Result<T, ModelError>) -> Result<T, ModelError> {
        result.inspect_err(|error| {
            let is_the_devices = matches!(error, ModelError::Engine { .. } | ModelError::TensorRt(_));
            if is_the_devices && !self.device_answers() {
                self.give_up(error);
            }
        })
    }

    /// Lets go of everything that runs. The first error is kept, which those that follow from it say nothing of.
    pub(super) fn give_up(&mut self, error: &ModelError) {
        if self.broken.is_none() {
            tracing::error!(%error, "the engine is broken, until the model is loaded again");
            self.broken = Some(error.to_string());
        }
        self.admission = Admission::default();
        self.batch.clear();
    }

    /// Whether both streams still come to their ends.
    fn device_answers(&self) -> bool {
        let device = &self.workspace.device;
        let streams = [&self.workspace.encode, &self.workspace.decode];
        streams.into_iter().all(|stream| device.record(stream).and_then(|event| device.wait(&event)).is_ok())
    }
}
