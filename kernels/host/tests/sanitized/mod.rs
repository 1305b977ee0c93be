//! The program with the kernels and sanitizers, as a machine.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use belvedere_kernels::device::{Argument, DeviceSlice, Launch};
use belvedere_kernels_host::cases::Machine;

/// Addresses are the program's own. It ends at the first mistake, with words on its standard error.
pub(crate) struct Sanitized {
    program: Child,
    commands: Option<ChildStdin>,
    answers: ChildStdout,
}

impl Sanitized {
    pub(crate) fn start() -> Sanitized {
        let (path, error) = (env!("BELVEDERE_SANITIZED_KERNELS"), env!("BELVEDERE_SANITIZED_KERNELS_ERROR"));
        assert!(
            !path.is_empty(),
            "the compiler makes no program with sanitizers (libasan and libubsan): {error}"
        );
        let mut program = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (program.stdin.take(), program.stdout.take().unwrap());
        Sanitized { program, commands, answers }
    }

    /// Sends a command; where the program has ended, its last words are the error.
    fn send(&mut self, parts: &[&[u8]]) -> Result<(), String> {
        let commands = self.commands.as_mut().unwrap();
        let sent = parts.iter().try_for_each(|part| commands.write_all(part)).and_then(|()| commands.flush());
        sent.map_err(|_| self.last_words())
    }

    fn receive(&mut self, bytes: usize) -> Result<Vec<u8>, String> {
        let mut answer = vec![0; bytes];
        self.answers.read_exact(&mut answer).map_err(|_| self.last_words())?;
        Ok(answer)
    }

    fn receive_number(&mut self) -> Result<u64, String> {
        Ok(u64::from_ne_bytes(self.receive(8)?.try_into().unwrap()))
    }

    fn last_words(&mut self) -> String {
        self.commands = None;
        let mut words = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        words
    }
}

impl Machine for Sanitized {
    fn put(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String> {
        self.send(&[b"P", &(bytes.len() as u64).to_ne_bytes(), bytes])?;
        Ok(DeviceSlice::new(self.receive_number()?, bytes.len()))
    }

    fn run(&mut self, launch: &Launch) -> Result<(), String> {
        let mut command = Vec::from(*b"L");
        command.extend((launch.kernel.len() as u64).to_ne_bytes());
        command.extend(launch.kernel.bytes());
        command.extend(launch.grid.iter().chain(&launch.block).flat_map(|side| side.to_ne_bytes()));
        command.extend((launch.arguments.len() as u64).to_ne_bytes());
        for argument in &launch.arguments {
            let (kind, bits, address, bytes) = match *argument {
                Argument::Memory(slice) => (0, 0, slice.address(), slice.bytes() as u64),
                Argument::I32(value) => (1, value as u32, 0, 0),
                Argument::U32(value) => (2, value, 0, 0),
                Argument::F32(value) => (3, value.to_bits(), 0, 0),
            };
            command.extend([kind, bits].iter().flat_map(|word: &u32| word.to_ne_bytes()));
            command.extend([address, bytes].iter().flat_map(|word| word.to_ne_bytes()));
        }
        self.send(&[&command])?;
        if self.receive_number()? == 0 {
            return Ok(());
        }
        let bytes = self.receive_number()? as usize;
        Err(String::from_utf8_lossy(&self.receive(bytes)?).into_owned())
    }

    fn get(&mut self, slice: DeviceSlice) -> Result<Vec<u8>, String> {
        let range = [slice.address().to_ne_bytes(), (slice.bytes() as u64).to_ne_bytes()];
        self.send(&[b"G", range.as_flattened()])?;
        self.receive(slice.bytes())
    }

    fn clear(&mut self) {
        self.send(&[b"C"]).unwrap();
    }
}

impl Drop for Sanitized {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.program.wait();
    }
}
