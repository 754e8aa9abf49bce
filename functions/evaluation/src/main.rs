//! `make trends`: what the rule of `birdsong_domain::trend` reaches.

mod detectors;
mod nab;
mod planted;
mod random;
mod series;

fn main() -> anyhow::Result<()> {
    let files = nab::load(std::path::Path::new("../shared/data/nab"))?;
    for d in std::iter::once(&detectors::BIRDSONG).chain(&detectors::RIVALS) {
        let scores = series::in_parallel(&files, |f| (d.score)(&f.series));
        let labels: usize = files.iter().map(|f| f.labels.len()).sum();
        for p in [nab::STANDARD, nab::LOW_FALSE_POSITIVES] {
            let best = detectors::thresholds()
                .into_iter()
                .map(|t| {
                    let total: f64 = files
                        .iter()
                        .zip(&scores)
                        .map(|(f, s)| nab::raw(f, &detectors::reports(f.series.size.into(), s, t), p))
                        .sum();
                    (nab::normalized(total, labels, p), t)
                })
                .max_by(|a, b| a.0.total_cmp(&b.0));
            println!("{} {best:?}", d.name);
        }
    }
    Ok(())
}
