{{/* Names, labels, images and parts of pods that several templates use. */}}

{{/* Of objects that belong to no namespace: two releases in one cluster do not meet. */}}
{{- define "pannier.clusterName" -}}
{{ .Release.Name }}-{{ .Release.Namespace }}
{{- end }}

{{- define "pannier.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default "pannier-operator" }}
{{- else }}
{{- required "serviceAccount.name: want the name of a service account that is there, since serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What never changes on an object: selectors are made of it. */}}
{{- define "pannier.selector" -}}
app.kubernetes.io/name: pannier
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pannier.labels" -}}
{{ include "pannier.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pannier
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A name with the tag behind it, unless it brings a tag or a digest: {name, root}. A port is no tag. */}}
{{- define "pannier.tagged" -}}
{{- if or (contains "@" .name) (contains ":" (base .name)) }}
{{- .name }}
{{- else }}
{{- printf "%s:%s" .name (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "pannier.image" -}}
{{ include "pannier.tagged" (dict "name" .Values.image.repository "root" .) }}
{{- end }}

{{- define "pannier.sidecarImage" -}}
{{- if contains "/" .Values.sidecar.image }}
{{- .Values.sidecar.image }}
{{- else }}
{{- include "pannier.tagged" (dict "name" (.Values.sidecar.image | default .Values.image.repository) "root" .) }}
{{- end }}
{{- end }}

{{/* "true" where the API server filters by matchConditions: beta and off below 1.30. */}}
{{- define "pannier.hasMatchConditions" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{- define "pannier.failurePolicy" -}}
{{- $chosen := .Values.webhook.failurePolicy }}
{{- $filters := include "pannier.hasMatchConditions" . }}
{{- if and (eq $chosen "Fail") (not $filters) }}
{{- fail (printf "webhook.failurePolicy: got Fail on Kubernetes %s, want Ignore or nothing: before 1.30 the API server asks about every pod of the cluster, and none could be created while the operator is away" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- $chosen | default (ternary "Fail" "Ignore" (eq $filters "true")) }}
{{- end }}

{{/* Of every pod of the chart: who pulls, where it may run, as whom. */}}
{{- define "pannier.podSettings" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.operator.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- if ge (int .Values.operator.runAsUser) 0 }}
  runAsUser: {{ int .Values.operator.runAsUser }}
  runAsGroup: {{ int .Values.operator.runAsUser }}
  fsGroup: {{ int .Values.operator.runAsUser }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* Of every container: image and what it may do. */}}
{{- define "pannier.containerSettings" -}}
image: {{ include "pannier.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
