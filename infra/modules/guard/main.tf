# Stops a destroy before anything is gone. AWS protects the table, full buckets and images, but not the stream, and Terraform
# would delete everything else before it fails at them. `prevent_destroy` cannot depend on a variable.

resource "terraform_data" "this" {
  input = { name = var.name, protected = var.deletion_protection }
  # Replaced with what it protects, before that is.
  triggers_replace = var.protects

  provisioner "local-exec" {
    when    = destroy
    quiet   = true
    command = self.output.protected ? "if [ \"$BIRDSONG_DESTROY\" != '${self.output.name}' ]; then echo 'The windows and posts of ${self.output.name} are protected, nothing was destroyed: see Destroy in docs/deploy.md.' >&2; exit 1; fi" : "true"
  }
}
