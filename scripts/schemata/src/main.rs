//! Prints where the expressions of Rust files are that a mutant changes: one JSON object a line, with ranges of bytes.
//! `schemata-sites FILE...` (`scripts/schemata.py`).

use proc_macro2::Span;
use serde_json::{Value, json};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

struct Sites<'f> {
    file: &'f str,
}

fn range(of: &impl Spanned) -> Value {
    let span: Span = of.span();
    let range = span.byte_range();
    json!([range.start, range.end])
}

/// Whether an expression is `let PATTERN = …`, or a chain with one, which nothing can be put around.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Sites<'_> {
    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        if !has_let(&node.left) && !has_let(&node.right) {
            let (left, right) = (range(&node.left), range(&node.right));
            let site =
                json!({"kind": "binary", "key": range(&node.op), "whole": range(node), "left": left, "right": right});
            self.print(site);
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        self.print(json!({"kind": "unary", "key": range(&node.op), "whole": range(node), "right": range(&node.expr)}));
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let guard = node.guard.as_ref().map(|(_, guard)| range(guard));
        self.print(json!({"kind": "arm", "key": range(node), "pattern": range(&node.pat), "guard": guard}));
        visit::visit_arm(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        if let Some(rest) = &node.rest {
            for field in &node.fields {
                let (key, rest, right) = (range(field), range(rest), range(&field.expr));
                let is_short = field.colon_token.is_none();
                self.print(json!({"kind": "field", "key": key, "rest": rest, "right": right, "is_short": is_short}));
            }
        }
        visit::visit_expr_struct(self, node);
    }
}

impl Sites<'_> {
    fn print(&self, mut site: Value) {
        site["file"] = self.file.into();
        println!("{site}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in std::env::args().skip(1) {
        let tree = syn::parse_file(&std::fs::read_to_string(&file)?).map_err(|error| format!("{file}: {error}"))?;
        Sites { file: &file }.visit_file(&tree);
    }
    Ok(())
}
