//! An execution on a GPU.

use belvedere_cuda::{CudaDevice, CudaStream};
use belvedere_kernels::device::{Device as _, DeviceSlice};
use belvedere_models::engine::tensorrt::{GraphName, Profile};
use ort::environment::Environment;

use crate::bound_session::{BoundSession, Provider, SessionSource};
use crate::{Capturing, FixedPort, GraphFiles, OrtCudaError};

/// Runs before the first is over. In them the provider takes what memory it needs and chooses its kernels, neither of
/// which may happen while a run is captured. A run changes nothing that it reads.
const WARM_UP_RUNS: usize = 3;

/// One graph at fixed shapes on the CUDA provider, on one stream.
///
/// A captured run uses the provider's own memory, which is this session's alone: it must not be run again in another way
/// while its capture is replayed, and outlives the replays. That is why each profile has a session, with the weights once
/// more.
#[derive(Debug)]
pub struct CudaExecution {
    // Before the stream, which it runs on.
    session: BoundSession,
    stream: CudaStream,
    device: CudaDevice,
    graph: GraphName,
    capturing: Capturing,
    is_warm: bool,
}

impl CudaExecution {
    /// Opens the session of `graph` at `profile`, on GPU number `ordinal`, which is `device`'s, and on `stream`.
    ///
    /// # Errors
    /// The provider cannot be used, or refuses the graph.
    pub fn open(
        environment: &Environment,
        files: &GraphFiles,
        (graph, profile): (GraphName, &Profile),
        (device, ordinal): (&CudaDevice, usize),
        stream: &CudaStream,
        capturing: Capturing,
    ) -> Result<CudaExecution, OrtCudaError> {
        let (ports, sides) = (files.ports(graph, profile)?, files.sides(graph, profile)?);
        let model = files.path(graph);
        let source =
            SessionSource { environment, graph, profile, model: &model, sides: &sides, ports: &ports };
        let open = |capturing| {
            let session = BoundSession::open(&source, &Provider::Cuda { ordinal, stream, capturing })?;
            let (device, stream) = (device.clone(), stream.clone());
            Ok(CudaExecution { session, stream, device, graph, capturing, is_warm: false })
        };
        match open(capturing) {
            // A graph that the provider will not have captured can still be run.
            Err(error @ (OrtCudaError::Session { .. } | OrtCudaError::OnCpu { .. }))
                if capturing != Capturing::Nobody =>
            {
                tracing::warn!(%error, "a session that can be captured is refused, one that cannot is tried");
                open(Capturing::Nobody)
            }
            opened => opened,
        }
    }

    /// Appends one run on `slices`, one for each of `ports` in their order.
    ///
    /// # Errors
    /// Another stream than it was opened on, memory that is not alive, a capture of what cannot be captured, or ONNX Runtime
    /// refuses.
    pub fn enqueue(
        &mut self,
        stream: &CudaStream,
        ports: &[FixedPort],
        slices: &[DeviceSlice],
    ) -> Result<(), OrtCudaError> {
        let refuse =
            |reason: &str| Err(OrtCudaError::Run { graph: self.graph.as_str(), reason: reason.to_owned() });
        if *stream != self.stream {
            return refuse("the session was made for another stream");
        }
        if ports.len() != slices.len() {
            return refuse("not as many places as inputs and outputs");
        }
        self.device.lend(stream, slices)?;
        if stream.is_capturing()? {
            match self.capturing {
                _ if !self.is_warm => return refuse("it is to be captured before it has run"),
                Capturing::Engine => {}
                Capturing::Provider => return refuse("ONNX Runtime captures its runs itself"),
                Capturing::Nobody => return refuse("the session was not made to be captured"),
            }
        }
        for (place, (port, slice)) in ports.iter().zip(slices).enumerate() {
            if slice.bytes() != port.bytes() {
                return refuse("a binding of another size");
            }
            self.session.place(place, port, slice.address())?;
        }
        let runs = if self.is_warm { 1 } else { WARM_UP_RUNS };
        for _ in 0..runs {
            // SAFETY: all ports are placed, in memory of this GPU that is alive (`lend`), of their sizes. It is freed only
            // when everything queued is done, and whoever else uses it is ordered by this stream.
            unsafe { self.session.run() }?;
        }
        self.is_warm = true;
        Ok(())
    }
}

impl Drop for CudaExecution {
    fn drop(&mut self) {
        // What is queued uses the session's own memory.
        let _ = self.device.record(&self.stream).and_then(|event| self.device.wait(&event));
    }
}
