{{/* Names and labels. Short: KubeRay appends to them. A shortened one ends with a part of its hash, so that
     two that begin alike stay two. */}}
{{- define "openrembg.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- if gt (len $name) 30 -}}
{{- printf "%s-%s" ($name | trunc 21 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "openrembg.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "openrembg.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "openrembg.selector" . }}
{{- end -}}

{{- define "openrembg.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Whether the chart has KubeRay make a cluster. */}}
{{- define "openrembg.hasCluster" -}}
{{- if and (eq .Values.inference "ray") (not .Values.ray.address) -}}yes{{- end -}}
{{- end -}}

{{- define "openrembg.rayAddress" -}}
{{- .Values.ray.address | default (printf "%s-ray-head-svc.%s.svc:6379" (include "openrembg.name" .) .Release.Namespace) -}}
{{- end -}}
