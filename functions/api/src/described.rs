//! Enums whose variants are described in the OpenAPI document.

/// Declares an enum of names in JSON. Its description in the OpenAPI document is its own doc comment with those of
/// its variants.
macro_rules! described {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),*)])?
        $vis:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])+ $variant:ident,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema, $($($derive),*)?)]
        #[serde(rename_all = "snake_case")]
        #[schema(description = $name::description())]
        $vis enum $name {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $name {
            /// The meaning of the name.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($variant_doc),+).trim_ascii(),)+
                }
            }

            /// The description of all names, as Markdown.
            fn description() -> String {
                let mut text = concat!($($doc),+).trim_ascii().to_owned();
                text.push('\n');
                for variant in [$(Self::$variant),+] {
                    let name = serde_json::to_value(variant).unwrap_or_default();
                    text += &format!("\n- `{}`: {}", name.as_str().unwrap_or_default(), variant.meaning());
                }
                text
            }
        }
    };
}

pub(crate) use described;
