//! Inputs and outputs of a graph at one profile, and where they lie.

use belvedere_kernels::device::DeviceSlice;
use belvedere_models::engine::tensorrt::{GraphName, Profile};
use belvedere_models::graph::{Element, Graph, Port};

use crate::OrtCudaError;

/// An input or output of a graph at one profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedPort {
    /// Its name.
    pub name: String,
    /// Its element type; `None` is i64.
    pub element: Option<Element>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it is an input.
    pub is_input: bool,
}

impl FixedPort {
    /// Inputs, then outputs.
    ///
    /// # Errors
    /// The profile is another graph's.
    pub fn all(name: GraphName, graph: &Graph, profile: &Profile) -> Result<Vec<FixedPort>, OrtCudaError> {
        let fixed = |port: &Port, is_input| {
            let shape = profile.shape(port).ok_or_else(|| OrtCudaError::Binding {
                graph: name.as_str(),
                tensor: port.name.clone(),
                reason: format!("{profile} has no number for one of its sides"),
            })?;
            Ok(FixedPort { name: port.name.clone(), element: port.element, shape, is_input })
        };
        let inputs = graph.inputs().iter().map(|port| fixed(port, true));
        inputs.chain(graph.outputs().iter().map(|port| fixed(port, false))).collect()
    }

    /// Bytes of all its elements.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.element.map_or(8, Element::bytes)
    }
}

/// Where inputs and outputs lie: each in memory of its own.
#[derive(Debug, Clone)]
pub struct Bindings {
    graph: GraphName,
    ports: Vec<FixedPort>,
    slices: Vec<Option<DeviceSlice>>,
}

impl Bindings {
    /// Nothing is bound yet.
    pub fn new(graph: GraphName, ports: Vec<FixedPort>) -> Bindings {
        Bindings { graph, slices: vec![None; ports.len()], ports }
    }

    /// In the order of the slices.
    pub fn ports(&self) -> &[FixedPort] {
        &self.ports
    }

    /// Says where one lies.
    ///
    /// # Errors
    /// There is no such input or output, it has another size, or it lies over another.
    pub fn bind(&mut self, name: &str, slice: DeviceSlice) -> Result<(), OrtCudaError> {
        let refuse = |reason: String| {
            Err(OrtCudaError::Binding { graph: self.graph.as_str(), tensor: name.to_owned(), reason })
        };
        let Some(place) = self.ports.iter().position(|port| port.name == name) else {
            return refuse("no such input or output".to_owned());
        };
        let port = &self.ports[place];
        if slice.bytes() != port.bytes() {
            let reason = format!("{:?} has {} bytes, not {}", port.shape, port.bytes(), slice.bytes());
            return refuse(reason);
        }
        let end = |slice: &DeviceSlice| slice.address() + slice.bytes() as u64;
        let others = self.ports.iter().zip(&self.slices).enumerate().filter(|(at, _)| *at != place);
        for (_, (other, taken)) in others {
            if taken.is_some_and(|taken| taken.address() < end(&slice) && slice.address() < end(&taken)) {
                return refuse(format!("it lies over {}", other.name));
            }
        }
        self.slices[place] = Some(slice);
        Ok(())
    }

    /// All of them, in the order of the ports.
    ///
    /// # Errors
    /// One is not bound.
    pub fn complete(&self) -> Result<Vec<DeviceSlice>, OrtCudaError> {
        let bound = |(port, slice): (&FixedPort, &Option<DeviceSlice>)| {
            slice.ok_or_else(|| OrtCudaError::Binding {
                graph: self.graph.as_str(),
                tensor: port.name.clone(),
                reason: "it is not bound".to_owned(),
            })
        };
        self.ports.iter().zip(&self.slices).map(bound).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn bindings() -> Bindings {
        let port = |name: &str, shape: &[usize], is_input| FixedPort {
            name: name.to_owned(),
            element: Some(Element::F16),
            shape: shape.to_vec(),
            is_input,
        };
        Bindings::new(GraphName::Vision, vec![port("in", &[2, 3], true), port("out", &[4], false)])
    }

    #[test]
    fn a_binding_has_the_size_of_its_tensor_and_memory_of_its_own() {
        let mut bindings = bindings();
        let error = |result: Result<(), OrtCudaError>| result.unwrap_err().to_string();
        assert!(error(bindings.bind("other", DeviceSlice::new(256, 12))).contains("no such"));
        assert!(error(bindings.bind("in", DeviceSlice::new(256, 10))).contains("12 bytes, not 10"));
        bindings.bind("in", DeviceSlice::new(256, 12)).unwrap();
        assert!(error(bindings.bind("out", DeviceSlice::new(266, 8))).contains("lies over in"));
        assert!(bindings.complete().unwrap_err().to_string().contains("out: it is not bound"));
        bindings.bind("out", DeviceSlice::new(268, 8)).unwrap();
        assert_eq!(bindings.complete().unwrap().len(), 2);
        // Moved, it does not lie over its own old place.
        bindings.bind("in", DeviceSlice::new(252, 12)).unwrap();
    }
}
